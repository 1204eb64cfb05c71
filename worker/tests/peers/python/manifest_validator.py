"""Reads a list of YAML texts and prints, of each, {"objects": its documents, "errors": what is wrong with
them by the schemas of Kubernetes and KEDA}. A field that no schema knows is an error."""

import json
import sys

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
from pydantic import ValidationError

# The first with the `sleep` of preStop.
KUBERNETES = "1.30"
KEDA = {"ScaledObject": ScaledObject, "TriggerAuthentication": TriggerAuthentication}


class Loader(yaml.SafeLoader):
    """Of two equal keys YAML's parser would keep the last one and say nothing."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def check(document):
    if document["apiVersion"].startswith("keda.sh/"):
        KEDA[document["kind"]].model_validate(document, extra="forbid")
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def error_of(document):
    try:
        check(document)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
    except ValidationError as error:
        return str(error)
    except (KeyError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"no schema: {error}"
    return None


def verdict(text):
    objects = list(yaml.load_all(text, Loader))
    return {"objects": objects, "errors": [error for error in map(error_of, objects) if error]}


print(json.dumps([verdict(text) for text in json.load(sys.stdin)]))
