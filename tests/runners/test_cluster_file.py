"""docs/cluster.yaml is a file that `ray up` takes, as far as that can be known without a cloud."""

import json
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import yaml

SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
FILE = Path(__file__).parents[2] / "docs" / "cluster.yaml"


def test_ray_up_takes_the_cluster_file():
    config = yaml.safe_load(FILE.read_text())
    jsonschema.validate(config, SCHEMA)
    assert config["head_node_type"] in config["available_node_types"]
    commands = (*config["head_start_ray_commands"], *config["worker_start_ray_commands"])
    assert all("RAY_AUTH_MODE=token" in command for command in commands if "ray start" in command)


def test_a_mistake_in_it_would_be_found():
    config = yaml.safe_load(FILE.read_text())
    with pytest.raises(jsonschema.ValidationError, match="not_a_field"):
        jsonschema.validate(config | {"not_a_field": 1}, SCHEMA)
