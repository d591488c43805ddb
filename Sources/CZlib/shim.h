// The system's zlib, version 1.2.11 or later (Debian: zlib1g-dev).
#include <zlib.h>
