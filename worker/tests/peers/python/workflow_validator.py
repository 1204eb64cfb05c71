"""Reads a list of YAML texts and prints, of each, what is wrong with it by the schema of GitHub's workflows."""

import importlib.resources
import json
import sys

import jsonschema
import yaml

SCHEMA = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json"


class Loader(yaml.SafeLoader):
    """`on` is a key here; YAML 1.1 would take it for true."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first not in "oO"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
texts = json.load(sys.stdin)
print(json.dumps([[error.message for error in validator.iter_errors(yaml.load(text, Loader))] for text in texts]))
