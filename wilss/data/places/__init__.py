"""Where the files of a data folder come from: a disk, shards of a tar each, or a bucket."""
