"""What TensorFlow Serving reads beside the exported versions of a model."""

import re
from pathlib import Path

LABEL = "stable"  # of the newest version

MODELS = """\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
{labels}
  }}
}}
"""
BATCHING = """\
# Where to begin: nothing here was measured. No request has more rows than this.
max_batch_size {{ value: {rows} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 4 }}
"""
COMPOSE = """\
# Not run where it was written: there was no Docker.
#
#     docker compose --profile cpu up
#     docker compose --profile gpu up
#
# A server that batches wants a seed for each row. For one, set BATCHING to
#
#     --enable_batching --batching_parameters_file=/models/{name}/{batching}
services:
  cpu: &server
    profiles: [cpu]
    image: tensorflow/serving
    ports: ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    volumes: [".:/models/{name}:ro"]
    command: >-
      --model_config_file=/models/{name}/{models}
      --model_config_file_poll_wait_seconds=60
      --allow_version_labels_for_unavailable_models
      ${{BATCHING:-}}
  gpu:
    <<: *server
    profiles: [gpu]
    image: tensorflow/serving:latest-gpu
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]
"""
FILES = {"models": "models.config", "batching": "batching.config"}


def check_name(name: str) -> None:
    """Raises a ValueError if a model's name is no part of an address or of a path."""
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        wanted = "A served model's name must be letters, digits, _, . and -."
        raise ValueError(f"{wanted} Received: {name!r}")


def write_layout(base: Path, name: str, rows: int) -> list[Path]:
    """Writes the model config, batching parameters and a Compose file; new ones win.

    The two newest versions are loaded, labelled `stable` and `previous`.

    Args:
        base: the folder of the versions.
        name: what requests call the model, checked.
        rows: the most rows of a request.

    Returns:
        The files.
    """
    versions = sorted(
        int(path.name) for path in base.iterdir() if path.name.isdecimal()
    )
    labels = zip((LABEL, "previous"), reversed(versions))
    labels = "\n".join(
        f'    version_labels {{ key: "{label}" value: {version} }}'
        for label, version in labels
    )
    contents = {
        FILES["models"]: MODELS.format(name=name, labels=labels),
        FILES["batching"]: BATCHING.format(rows=rows),
        "compose.yaml": COMPOSE.format(name=name, **FILES),
    }
    for file, content in contents.items():
        (base / file).write_text(content)
    return [base / file for file in contents]
