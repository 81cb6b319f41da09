"""A datatrove run for the tests to start and kill: python -m tests.datatrove_run ROWS OUT LOGS."""

import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from classifier.adapters.datatrove import DatatroveBranchScorer


def main(rows: str, output: str, logs: str) -> None:
    """Score the JSON lines of a folder, one task a file, in two processes."""
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(rows, text_key="trace"),
            DatatroveBranchScorer(batch_size=2),
            JsonlWriter(output, compression=None, expand_metadata=True),
        ],
        tasks=6,
        workers=2,
        logging_dir=logs,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
