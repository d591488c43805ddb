// The system's libuv, version 1.44 or later (Debian: libuv1-dev).
#include <uv.h>
