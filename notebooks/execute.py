"""Execute the notebooks: `python notebooks/execute.py` writes their outputs.

With `--check` it writes nothing, but sees that they run, and that outputs of each cell were committed in order.
"""

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
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        if "--check" in arguments and counts != list(range(1, len(counts) + 1)):
            print(f"{path.name} is not executed: python notebooks/execute.py")
            return 1
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
