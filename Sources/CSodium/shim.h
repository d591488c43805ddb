// The system's libsodium, version 1.0.18 or later (Debian: libsodium-dev).
#include <sodium.h>
