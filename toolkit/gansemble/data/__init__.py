"""From a corpus on disk to crops in memory: manifest, pack, segments, doctor, download, mini corpora."""
