"""Iceberg tables without a catalogue's server, for the tests: each commit writes the next metadata file.

table = create(tmp_path / "t", pl.DataFrame({"user": [1]})); table.append(...)
"""

import uuid
from pathlib import Path
from typing import Any

import polars as pl
import pytest


def create(folder: Path, rows: pl.DataFrame) -> Any:
    """A table with these rows, in version 1; it has pyiceberg's `append` and `delete`."""
    pytest.importorskip("pyarrow", reason="pyarrow, with which pyiceberg writes, is not installed")
    pytest.importorskip("pyiceberg", reason="pyiceberg is not installed")
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io import load_file_io
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
    from pyiceberg.schema import assign_fresh_schema_ids
    from pyiceberg.serializers import ToOutputFile
    from pyiceberg.table import CommitTableResponse, Table
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
    from pyiceberg.table.update import update_table_metadata

    io = load_file_io({}, f"file://{folder}")

    def write(metadata: Any, version: int) -> str:
        place = f"file://{folder}/metadata/{version:05}-{uuid.uuid4()}.metadata.json"
        ToOutputFile.table_metadata(metadata, io.new_output(place), overwrite=True)
        return place

    class Catalog(NoopCatalog):
        """Commits by writing."""

        version = 0

        def commit_table(self, table: Any, requirements: Any, updates: Any) -> Any:
            """The next version."""
            metadata = update_table_metadata(table.metadata, updates, metadata_location=table.metadata_location)
            self.version += 1
            return CommitTableResponse(metadata=metadata, metadata_location=write(metadata, self.version))

    arrow = rows.to_arrow()
    schema = assign_fresh_schema_ids(_schema(arrow.schema))
    metadata = new_table_metadata(schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, f"file://{folder}", {})
    table = Table(("n", "t"), metadata, write(metadata, 0), io, Catalog("none"))
    table.append(arrow)
    return table


def _schema(arrow: Any) -> Any:
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids

    return _pyarrow_to_schema_without_ids(arrow, downcast_ns_timestamp_to_us=True)
