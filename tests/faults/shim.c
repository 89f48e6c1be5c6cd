/* Preloaded into livervlmd by tests/faults/run.py: makes the n-th call of one kind fail, kills the process there, or
 * says that it succeeded without doing it. What to do is read at each call from a small file that the runner maps too
 * ($LVN_FAULTS), so that a running node is armed and disarmed without a restart and forked processes share the counts.
 * tests/faults/control.py has the same layout. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC 0x4c564e46u
#define NO_FD (-1)
#define PLACES 16
#define PLACE_BYTES 384
#define FRAMES 64
#define KNOWN_ADDRESSES 65536

enum kind {
  WRITE,
  SYNC,
  RENAME,
  LINK,
  OPEN,
  OPEN_READ,
  READ,
  MKDIR,
  TRUNCATE,
  UNLINK,
  THREAD,
  FORK,
  SOCKET,
  MEMORY,
  LIBRARY_MEMORY,
  KINDS
};
enum action { PASS, FAIL, KILL, SWALLOW, HALF, GARBLE };

struct control {
  uint32_t magic;
  _Atomic uint32_t armed;
  uint32_t kind;
  uint32_t action;
  int32_t error;
  uint32_t unused;
  uint64_t first;      /* the first call that fails, from 1 */
  uint64_t count;      /* as many calls */
  char threads[64];    /* names of the threads that are meant, each followed by a comma */
  char path[128];      /* part of the path; empty: any */
  char modules[64];    /* MEMORY: names of the objects whose calls are meant, each followed by a comma */
  char libraries[128]; /* LIBRARY_MEMORY: the same */
  _Atomic uint64_t seen[KINDS];
  _Atomic uint64_t failed;
  char places[PLACES][PLACE_BYTES];
};

static struct control *control;
static _Thread_local bool is_inside __attribute__((tls_model("initial-exec")));

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("LVN_FAULTS");
  void *frames[1];
  int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return;
  }
  void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  (void)syscall(SYS_close, fd);
  (void)backtrace(frames, 1); /* loads its library here rather than inside a failing call */
  if (mapped != MAP_FAILED && ((struct control *)mapped)->magic == MAGIC) {
    control = mapped;
  }
}

static bool is_listed(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = strstr(list, name); at != NULL; at = strstr(at + 1, name)) {
    if ((at == list || at[-1] == ',') && at[length] == ',') {
      return true;
    }
  }
  return false;
}

static bool is_meant_thread(char ret_name[17]) {
  (void)prctl(PR_GET_NAME, ret_name);
  return is_listed(control->threads, ret_name);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

/* Whose call it is: MEMORY, LIBRARY_MEMORY or neither (KINDS). dladdr() looks through all loaded objects, far too slow
 * for each allocation: what it said of an address is kept. */
static enum kind kind_of_caller(const void *address) {
  static const enum kind kinds[] = {KINDS, MEMORY, LIBRARY_MEMORY};
  static _Atomic uintptr_t known[KNOWN_ADDRESSES]; /* address * 4 + index of its kind */
  uintptr_t key = (uintptr_t)address << 2;
  _Atomic uintptr_t *entry = &known[((uintptr_t)address >> 2) % KNOWN_ADDRESSES];
  uintptr_t found = atomic_load(entry);
  if ((found & ~(uintptr_t)3) != key) {
    Dl_info info;
    const char *name = dladdr(address, &info) != 0 && info.dli_fname != NULL ? base_name(info.dli_fname) : "";
    found = key | (is_listed(control->modules, name) ? 1U : is_listed(control->libraries, name) ? 2U : 0U);
    atomic_store(entry, found);
  }
  return kinds[found & 3];
}

/* "lvn-assoc /state/spool/tmp/… livervlmd+0x1234 livervlmd+0x…": the frames let the runner name the source lines. */
static void note_place(uint64_t number, const char *thread, const char *path) {
  void *frames[FRAMES];
  char *text = control->places[number % PLACES];
  int used = snprintf(text, PLACE_BYTES, "%s\t%.160s\t", thread, path);
  int count = backtrace(frames, FRAMES);
  for (int i = 0; i < count && used < PLACE_BYTES - 1; i++) {
    Dl_info info;
    if (dladdr(frames[i], &info) != 0 && info.dli_fname != NULL &&
        (strcmp(base_name(info.dli_fname), "livervlmd") == 0 ||
         strcmp(base_name(info.dli_fname), "lvn-worker.so") == 0)) {
      used += snprintf(text + used, (size_t)(PLACE_BYTES - used), "%s+0x%lx ", base_name(info.dli_fname),
                       (unsigned long)((const char *)frames[i] - (const char *)info.dli_fbase - 1));
    }
  }
}

static enum action decide(enum kind kind, const char *thread, const char *path) {
  uint64_t number = atomic_fetch_add(&control->seen[kind], 1) + 1;
  if (control->kind != (uint32_t)kind || number < control->first || number - control->first >= control->count) {
    return PASS;
  }
  enum action action = (enum action)control->action;
  uint64_t failed = atomic_fetch_add(&control->failed, 1);
  note_place(failed, thread, path);
  if (action == KILL) {
    (void)kill(getpid(), SIGKILL);
  }
  /* Half of the bytes are taken once, as a disk does that fills up; the calls after it fail. */
  if (action == HALF && failed > 0) {
    action = FAIL;
  }
  if (action == FAIL) {
    errno = control->error;
  }
  return action;
}

static enum action look(enum kind kind, int fd, const char *path) {
  char thread[17] = "";
  char link[64];
  char target[512] = "";
  enum action action = PASS;
  int saved = errno;
  if (control == NULL || atomic_load(&control->armed) == 0 || is_inside) {
    return PASS;
  }
  is_inside = true;
  if (is_meant_thread(thread)) {
    if (path == NULL && fd != NO_FD) {
      (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
      (void)syscall(SYS_readlink, link, target, sizeof target - 1);
      path = target;
    }
    errno = saved;
    if (path == NULL || strstr(path, control->path) != NULL) {
      action = decide(kind, thread, path == NULL ? "" : path);
    }
  } else {
    errno = saved;
  }
  is_inside = false;
  return action;
}

static enum action look_memory(const void *caller) {
  char thread[17] = "";
  enum action action = PASS;
  if (control == NULL || atomic_load(&control->armed) == 0 || is_inside ||
      (control->kind != MEMORY && control->kind != LIBRARY_MEMORY)) {
    return PASS;
  }
  is_inside = true;
  if (kind_of_caller(caller) == (enum kind)control->kind && is_meant_thread(thread)) {
    action = decide((enum kind)control->kind, thread, "");
  }
  is_inside = false;
  return action;
}

/* The function that would have been called; resolved at its first use. */
#define REAL(name)                                                                                                     \
  static __typeof__(&name) real;                                                                                       \
  if (real == NULL) {                                                                                                  \
    void *found = dlsym(RTLD_NEXT, #name);                                                                             \
    memcpy(&real, &found, sizeof real);                                                                                \
  }

#define WRAP(kind, fd, path, swallowed, call)                                                                          \
  enum action action = look(kind, fd, path);                                                                           \
  return action == FAIL ? -1 : action == SWALLOW ? (swallowed) : (call)

/* Writes all of it with the last quarter zeroed, as memory or a cable that fails does. */
static ssize_t write_garbled(int fd, const void *data, size_t bytes, off64_t offset) {
  char copy[65536];
  size_t taken = bytes < sizeof copy ? bytes : sizeof copy;
  memcpy(copy, data, taken);
  memset(copy + taken - taken / 4, 0, taken / 4);
  return offset < 0 ? syscall(SYS_write, fd, copy, taken) : syscall(SYS_pwrite64, fd, copy, taken, offset);
}

#define WRAP_WRITE(offset, call_with)                                                                                  \
  enum action action = look(WRITE, fd, NULL);                                                                          \
  if (action == FAIL || action == SWALLOW) {                                                                           \
    return action == FAIL ? -1 : (ssize_t)bytes;                                                                       \
  }                                                                                                                    \
  if (action == GARBLE) {                                                                                              \
    return write_garbled(fd, data, bytes, offset);                                                                     \
  }                                                                                                                    \
  return call_with(action == HALF && bytes > 1 ? bytes / 2 : bytes)

ssize_t write(int fd, const void *data, size_t bytes) {
  REAL(write)
#define CALL(n) real(fd, data, n)
  WRAP_WRITE(-1, CALL);
#undef CALL
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
  REAL(pwrite64)
#define CALL(n) real(fd, data, n, offset)
  WRAP_WRITE(offset, CALL);
#undef CALL
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off64_t offset) {
  return pwrite64(fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *vectors, int count) {
  REAL(writev)
  WRAP(WRITE, fd, NULL, 0, real(fd, vectors, count));
}

ssize_t read(int fd, void *data, size_t bytes) {
  REAL(read)
  WRAP(READ, fd, NULL, 0, real(fd, data, bytes));
}

ssize_t pread64(int fd, void *data, size_t bytes, off64_t offset) {
  REAL(pread64)
  WRAP(READ, fd, NULL, 0, real(fd, data, bytes, offset));
}

ssize_t pread(int fd, void *data, size_t bytes, off64_t offset) {
  return pread64(fd, data, bytes, offset);
}

int fsync(int fd) {
  REAL(fsync)
  WRAP(SYNC, fd, NULL, 0, real(fd));
}

int fdatasync(int fd) {
  REAL(fdatasync)
  WRAP(SYNC, fd, NULL, 0, real(fd));
}

int rename(const char *from, const char *to) {
  REAL(rename)
  WRAP(RENAME, NO_FD, to, 0, real(from, to));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  REAL(renameat)
  WRAP(RENAME, NO_FD, to, 0, real(from_fd, from, to_fd, to));
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
  REAL(renameat2)
  WRAP(RENAME, NO_FD, to, 0, real(from_fd, from, to_fd, to, flags));
}

int link(const char *from, const char *to) {
  REAL(link)
  WRAP(LINK, NO_FD, to, 0, real(from, to));
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  REAL(linkat)
  WRAP(LINK, NO_FD, to, 0, real(from_fd, from, to_fd, to, flags));
}

static enum kind open_kind(int flags) {
  return (flags & O_ACCMODE) == O_RDONLY && (flags & O_CREAT) == 0 ? OPEN_READ : OPEN;
}

#define TAKE_MODE(flags)                                                                                               \
  mode_t mode = 0;                                                                                                     \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                                        \
    va_list args;                                                                                                      \
    va_start(args, flags);                                                                                             \
    mode = va_arg(args, mode_t);                                                                                       \
    va_end(args);                                                                                                      \
  }

int open64(const char *path, int flags, ...) {
  REAL(open64)
  TAKE_MODE(flags)
  WRAP(open_kind(flags), NO_FD, path, -1, real(path, flags, mode));
}

int open(const char *path, int flags, ...) { /* allow: the caller's flags */
  TAKE_MODE(flags)
  return open64(path, flags, mode);
}

int openat64(int folder_fd, const char *path, int flags, ...) {
  REAL(openat64)
  TAKE_MODE(flags)
  WRAP(open_kind(flags), NO_FD, path, -1, real(folder_fd, path, flags, mode));
}

int openat(int folder_fd, const char *path, int flags, ...) { /* allow: the caller's flags */
  TAKE_MODE(flags)
  return openat64(folder_fd, path, flags, mode);
}

int mkostemp(char *name, int flags) {
  REAL(mkostemp)
  WRAP(OPEN, NO_FD, name, -1, real(name, flags));
}

int mkostemp64(char *name, int flags) {
  return mkostemp(name, flags);
}

DIR *opendir(const char *path) {
  REAL(opendir)
  return look(OPEN_READ, NO_FD, path) == FAIL ? NULL : real(path);
}

FILE *fopen64(const char *path, const char *mode) {
  REAL(fopen64)
  return look(mode[0] == 'r' ? OPEN_READ : OPEN, NO_FD, path) == FAIL ? NULL : real(path, mode);
}

FILE *fopen(const char *path, const char *mode) { /* allow: the caller's flags */
  return fopen64(path, mode);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir)
  WRAP(MKDIR, NO_FD, path, 0, real(path, mode));
}

int ftruncate64(int fd, off64_t bytes) {
  REAL(ftruncate64)
  WRAP(TRUNCATE, fd, NULL, 0, real(fd, bytes));
}

int ftruncate(int fd, off64_t bytes) {
  return ftruncate64(fd, bytes);
}

int unlink(const char *path) {
  REAL(unlink)
  WRAP(UNLINK, NO_FD, path, 0, real(path));
}

int unlinkat(int folder_fd, const char *path, int flags) {
  REAL(unlinkat)
  WRAP(UNLINK, NO_FD, path, 0, real(folder_fd, path, flags));
}

int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data) {
  REAL(pthread_create)
  return look(THREAD, NO_FD, NULL) == FAIL ? control->error : real(ret_thread, attributes, run, data);
}

pid_t fork(void) {
  REAL(fork)
  return look(FORK, NO_FD, NULL) == FAIL ? -1 : real();
}

int socket(int domain, int type, int protocol) {
  REAL(socket)
  WRAP(SOCKET, NO_FD, NULL, -1, real(domain, type, protocol));
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict bytes, int flags) {
  REAL(accept4)
  WRAP(SOCKET, NO_FD, NULL, -1, real(fd, address, bytes, flags));
}

static bool fails_memory(const void *caller) {
  if (look_memory(caller) != FAIL) {
    return false;
  }
  errno = ENOMEM;
  return true;
}

void *malloc(size_t bytes) {
  return fails_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
  return fails_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes) {
  return fails_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t bytes) {
  void *memory = fails_memory(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
  if (memory != NULL) {
    *ret_memory = memory;
  }
  return memory != NULL ? 0 : ENOMEM;
}
