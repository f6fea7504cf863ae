"""Execute the notebooks: `python notebooks/execute.py` writes their outputs, `--check` only sees that they run."""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LIMIT = 120  # seconds a notebook


def main(arguments: list[str]) -> int:
    folder = Path(__file__).parent
    for path in sorted(folder.glob("*.ipynb")):
        started = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        kernel = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=LIMIT, kernel_name="python3", resources=kernel).execute()
        if "--check" not in arguments:
            for cell in notebook.cells:
                cell.metadata.pop("execution", None)  # times of day, which change at every run
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
