"""One file per family of backbones; each turns an architecture into stages."""
