"""What must be right about a table's metadata after a merge, as PyIceberg reads it and as Spark lists it;
rows apart. Each returns sentences about what is wrong."""

from pyiceberg.manifest import DataFileContent, ManifestContent, ManifestEntryStatus

LIVE = (ManifestEntryStatus.ADDED, ManifestEntryStatus.EXISTING)


class Listed:
    """The manifests of a table's current snapshot, read whole."""

    def __init__(self, table):
        self.table, self.snapshot = table, table.current_snapshot()
        self.manifests = self.snapshot.manifests(table.io)
        self.entries = {manifest.manifest_path: manifest.fetch_manifest_entry(table.io, False)
                        for manifest in self.manifests}

    def live(self, manifest):
        return [entry for entry in self.entries[manifest.manifest_path] if entry.status in LIVE]

    def files(self, kinds):
        return [entry.data_file for manifest in self.manifests for entry in self.live(manifest)
                if entry.data_file.content in kinds]


def counts_of(listed, manifest):
    entries = listed.entries[manifest.manifest_path]
    for status, files, rows in (
            (ManifestEntryStatus.ADDED, manifest.added_files_count, manifest.added_rows_count),
            (ManifestEntryStatus.EXISTING, manifest.existing_files_count, manifest.existing_rows_count),
            (ManifestEntryStatus.DELETED, manifest.deleted_files_count, manifest.deleted_rows_count)):
        found = [entry.data_file.record_count for entry in entries if entry.status == status]
        if (len(found), sum(found)) != (files, rows):
            yield "%s of a manifest: %d files, %d rows; its list says %s, %s" % (
                status.name, len(found), sum(found), files, rows)


def numbers_of(listed, manifest):
    last = listed.table.metadata.last_sequence_number
    live = [entry.sequence_number for entry in listed.live(manifest)]
    if live and min(live) != manifest.min_sequence_number:
        yield "least number %d; its list says %d" % (min(live), manifest.min_sequence_number)
    if manifest.sequence_number > last or any(number > last for number in live):
        yield "numbers beyond the table's last, %d" % last
    content = {entry.data_file.content for entry in listed.entries[manifest.manifest_path]}
    deletes = manifest.content == ManifestContent.DELETES
    if content and deletes == (DataFileContent.DATA in content):
        yield "a manifest of %s holds %s" % (manifest.content, content)


def totals_of(listed):
    """The summary's totals against what is listed. A total may be left out."""
    data = listed.files([DataFileContent.DATA])
    deletes = listed.files([DataFileContent.POSITION_DELETES, DataFileContent.EQUALITY_DELETES])
    found = {
        "total-data-files": len(data),
        "total-records": sum(file.record_count for file in data),
        "total-delete-files": len(deletes),
        "total-position-deletes": sum(file.record_count for file in deletes
                                      if file.content == DataFileContent.POSITION_DELETES),
        "total-equality-deletes": sum(file.record_count for file in deletes
                                      if file.content == DataFileContent.EQUALITY_DELETES)}
    if listed.table.metadata.format_version < 3:  # PyIceberg knows no sizes of deletion vectors
        found["total-files-size"] = sum(file.file_size_in_bytes for file in data + deletes)
    for key, value in found.items():
        said = listed.snapshot.summary[key]
        if said is not None and int(said) != value:
            yield "%s is %s, counted %d" % (key, said, value)


def lineage_of(listed):
    """Version 3: every manifest of data has its first row id, and ranges fit in the table's."""
    metadata, snapshot = listed.table.metadata, listed.snapshot
    next_row_id = metadata.next_row_id
    end = (snapshot.first_row_id or 0) + (snapshot.added_rows or 0)
    if next_row_id is None or end > next_row_id:
        yield "next row id %s; the snapshot's rows end at %s" % (next_row_id, end)


def wrong_with(table):
    """All that is wrong with the current snapshot."""
    listed = Listed(table)
    found = []
    for manifest in listed.manifests:
        found += counts_of(listed, manifest)
        if table.metadata.format_version > 1:
            found += numbers_of(listed, manifest)
    found += totals_of(listed)
    if table.metadata.format_version > 2:
        found += lineage_of(listed)
    for key in listed.snapshot.summary.additional_properties:
        if key.startswith(("flink.", "kafka.connect.")) or key in (
                "wap.id", "published-wap-id", "source-snapshot-id"):
            found.append("a summary with %s" % key)
    return found


def row_ids(rows):
    """Rows that end with _row_id and _last_updated_sequence_number: ids are there, and unique."""
    ids = [row[-2] for row in rows]
    found = []
    if None in ids or None in [row[-1] for row in rows]:
        found.append("rows without row id or number: %s" % rows[:4])
    if len(set(ids)) != len(ids):
        found.append("row ids twice: %s" % sorted(ids))
    return found
