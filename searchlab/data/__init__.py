"""Data: data sets by name, folders of images, splits, batches, augmentation."""
