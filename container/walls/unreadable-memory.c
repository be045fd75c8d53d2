/*
 * Preloaded into the sandbox server and its first process: no other process of the same user may read their memory or the
 * environment they were started with, nor attach to them (prctl(2), PR_SET_DUMPABLE). The session token is in that memory, and
 * Claude runs as the same user in the image.
 */
#include <sys/prctl.h>

__attribute__((constructor)) static void make_unreadable(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
