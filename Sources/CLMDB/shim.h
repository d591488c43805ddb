// The system's LMDB, version 0.9.24 or later (Debian: liblmdb-dev).
#include <lmdb.h>
