// A component has no system below it. Parts of wasi-libc (printf, exit, time, rand) name system calls all the same;
// here they are: each is a trap. Without this file such a call would be an import, which the host refuses.

#include <stdint.h>

#define CALL(name, ...) \
  int32_t __imported_wasi_snapshot_preview1_##name(__VA_ARGS__) { __builtin_trap(); }

CALL(args_get, int32_t a, int32_t b)
CALL(args_sizes_get, int32_t a, int32_t b)
CALL(environ_get, int32_t a, int32_t b)
CALL(environ_sizes_get, int32_t a, int32_t b)
CALL(clock_time_get, int32_t a, int64_t b, int32_t c)
CALL(fd_close, int32_t a)
CALL(fd_fdstat_get, int32_t a, int32_t b)
CALL(fd_read, int32_t a, int32_t b, int32_t c, int32_t d)
CALL(fd_seek, int32_t a, int64_t b, int32_t c, int32_t d)
CALL(fd_write, int32_t a, int32_t b, int32_t c, int32_t d)
CALL(random_get, int32_t a, int32_t b)

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t a) { (void)a, __builtin_trap(); }
