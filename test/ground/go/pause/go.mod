module tenant-backup/test/ground/pause

go 1.21
