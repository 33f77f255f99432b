"""A bucket as root: a local working root beside it, which holds what was read and what is being made.

The bucket is the truth. The working root has all its manifests and reports, and of the files of artefacts those that
were opened; each is looked at by its checksum when it comes. Needs the extra ``s3``. Imports no torch.
"""
