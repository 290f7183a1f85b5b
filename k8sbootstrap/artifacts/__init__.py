"""Getting the files to install: cache, directories, mirrors, upstream; every one checked against its hash."""
