/* A faulty disk, preloaded before the C library: at the n-th call that changes a file below a folder, something
   happens. Every library of the process, SQLite's own among them, comes through here; nothing is traced, so a fault
   costs nothing. `disk.py` compiles it and says what the numbers mean. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT = 1, KILL, TORN, ONCE, FROM_THERE_ON, POWER_CUT };
enum { CARRY_ON, FAIL, HALF };

/* XFS_IOC_GOINGDOWN; ext4 and f2fs know it by the same number. */
#define SHUT_DOWN _IOR('X', 125, unsigned int)
#define LOSE_WHAT_IS_NOT_SYNCED 2

static int mode, error_number, notes = -1;
static long number, early;
static char below[4096];
static size_t below_length;
static atomic_long seen;
static atomic_int struck;

/* `early` is the call before which the system writes everything back of its own accord, as it does now and then; 0 is
   never. Every call is written to the descriptor `notes`, where it is not -1. */
void disk_arm(int new_mode, long new_number, int new_error, long new_early, const char *folder, int new_notes) {
    number = new_number;
    error_number = new_error;
    early = new_early;
    notes = new_notes;
    snprintf(below, sizeof below, "%s", folder);
    below_length = strlen(below);
    atomic_store(&seen, 0);
    atomic_store(&struck, 0);
    mode = new_mode;
}

void disk_disarm(void) { mode = 0; }
long disk_seen(void) { return atomic_load(&seen); }
int disk_struck(void) { return atomic_load(&struck); }

void disk_cut_power(const char *folder) {
    unsigned int how = LOSE_WHAT_IS_NOT_SYNCED;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        ioctl(descriptor, SHUT_DOWN, &how);
        close(descriptor);
    }
}

void disk_write_back(const char *folder) {
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        syncfs(descriptor);
        close(descriptor);
    }
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int strike(const char *call, const char *path, int can_tear) {
    if (strncmp(path, below, below_length) || (path[below_length] && path[below_length] != '/'))
        return CARRY_ON;
    long count = atomic_fetch_add(&seen, 1) + 1;
    if (notes >= 0)
        dprintf(notes, "%s %s\n", call, path + below_length);
    if (count == early)
        disk_write_back(below);
    if (count < number || (count > number && mode != FROM_THERE_ON) || mode == COUNT)
        return CARRY_ON;
    atomic_store(&struck, 1);
    if (mode == KILL)
        die();
    if (mode == TORN) {
        if (can_tear)
            return HALF;
        die();
    }
    if (mode == POWER_CUT) {
        disk_cut_power(below);
        die();
    }
    errno = error_number;
    return FAIL;
}

static int at(const char *call, int folder, const char *path, int can_tear) {
    char absolute[8192];
    if (!mode || !path)
        return CARRY_ON;
    if (path[0] == '/')
        return strike(call, path, can_tear);
    ssize_t length;
    if (folder == AT_FDCWD) {
        length = readlink("/proc/self/cwd", absolute, 4096);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, absolute, 4096);
    }
    if (length < 0)
        return CARRY_ON;
    snprintf(absolute + length, sizeof absolute - length, "/%s", path);
    return strike(call, absolute, can_tear);
}

static int on(const char *call, int descriptor, int can_tear) {
    char link[64], path[4097];
    if (!mode)
        return CARRY_ON;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return CARRY_ON;
    path[length] = 0;
    return strike(call, path, can_tear);
}

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (!real)                                                                                                         \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

#define CHANGES_AT(name, folder, path, parameters, arguments, ...)                                                     \
    int name parameters {                                                                                              \
        REAL(int, name, __VA_ARGS__)                                                                                   \
        return at(#name, folder, path, 0) == FAIL ? -1 : real arguments;                                               \
    }

#define CHANGES_ON(name, parameters, arguments, ...)                                                                   \
    int name parameters {                                                                                              \
        REAL(int, name, __VA_ARGS__)                                                                                   \
        return on(#name, descriptor, 0) == FAIL ? -1 : real arguments;                                                 \
    }

#define WRITES(name, parameters, whole, half, ...)                                                                     \
    ssize_t name parameters {                                                                                          \
        REAL(ssize_t, name, __VA_ARGS__)                                                                               \
        switch (on(#name, descriptor, 1)) {                                                                            \
        case FAIL:                                                                                                     \
            return -1;                                                                                                 \
        case HALF:                                                                                                     \
            real half;                                                                                                 \
            die();                                                                                                     \
        }                                                                                                              \
        return real whole;                                                                                             \
    }

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                       \
        REAL(int, name, const char *, int, ...)                                                                        \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t permissions = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                 \
        va_end(rest);                                                                                                  \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) && at(#name, AT_FDCWD, path, 0) == FAIL)                   \
            return -1;                                                                                                 \
        return real(path, flags, permissions);                                                                         \
    }

#define OPENS_AT(name)                                                                                                 \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        REAL(int, name, int, const char *, int, ...)                                                                   \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t permissions = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                 \
        va_end(rest);                                                                                                  \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) && at(#name, folder, path, 0) == FAIL)                     \
            return -1;                                                                                                 \
        return real(folder, path, flags, permissions);                                                                 \
    }

OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

WRITES(write, (int descriptor, const void *bytes, size_t size), (descriptor, bytes, size), (descriptor, bytes, size / 2),
       int, const void *, size_t)
WRITES(pwrite, (int descriptor, const void *bytes, size_t size, off_t offset), (descriptor, bytes, size, offset),
       (descriptor, bytes, size / 2, offset), int, const void *, size_t, off_t)
WRITES(pwrite64, (int descriptor, const void *bytes, size_t size, off_t offset), (descriptor, bytes, size, offset),
       (descriptor, bytes, size / 2, offset), int, const void *, size_t, off_t)
WRITES(writev, (int descriptor, const struct iovec *parts, int count), (descriptor, parts, count),
       (descriptor, parts, count / 2), int, const struct iovec *, int)
WRITES(copy_file_range, (int source, off_t *from, int descriptor, off_t *to, size_t size, unsigned flags),
       (source, from, descriptor, to, size, flags), (source, from, descriptor, to, size / 2, flags), int, off_t *, int,
       off_t *, size_t, unsigned)
WRITES(sendfile, (int descriptor, int source, off_t *from, size_t size), (descriptor, source, from, size),
       (descriptor, source, from, size / 2), int, int, off_t *, size_t)
WRITES(sendfile64, (int descriptor, int source, off_t *from, size_t size), (descriptor, source, from, size),
       (descriptor, source, from, size / 2), int, int, off_t *, size_t)

CHANGES_ON(fsync, (int descriptor), (descriptor), int)
CHANGES_ON(fdatasync, (int descriptor), (descriptor), int)
CHANGES_ON(ftruncate, (int descriptor, off_t size), (descriptor, size), int, off_t)
CHANGES_ON(ftruncate64, (int descriptor, off_t size), (descriptor, size), int, off_t)
CHANGES_ON(fallocate, (int descriptor, int how, off_t offset, off_t size), (descriptor, how, offset, size), int, int,
           off_t, off_t)
CHANGES_ON(fchmod, (int descriptor, mode_t permissions), (descriptor, permissions), int, mode_t)
CHANGES_ON(futimens, (int descriptor, const struct timespec times[2]), (descriptor, times), int,
           const struct timespec *)

CHANGES_AT(rename, AT_FDCWD, new, (const char *old, const char *new), (old, new), const char *, const char *)
CHANGES_AT(renameat, new_folder, new, (int folder, const char *old, int new_folder, const char *new),
           (folder, old, new_folder, new), int, const char *, int, const char *)
CHANGES_AT(link, AT_FDCWD, new, (const char *old, const char *new), (old, new), const char *, const char *)
CHANGES_AT(symlink, AT_FDCWD, new, (const char *old, const char *new), (old, new), const char *, const char *)
CHANGES_AT(unlink, AT_FDCWD, path, (const char *path), (path), const char *)
CHANGES_AT(unlinkat, folder, path, (int folder, const char *path, int flags), (folder, path, flags), int, const char *,
           int)
CHANGES_AT(rmdir, AT_FDCWD, path, (const char *path), (path), const char *)
CHANGES_AT(mkdir, AT_FDCWD, path, (const char *path, mode_t permissions), (path, permissions), const char *, mode_t)
CHANGES_AT(mkdirat, folder, path, (int folder, const char *path, mode_t permissions), (folder, path, permissions), int,
           const char *, mode_t)
CHANGES_AT(truncate, AT_FDCWD, path, (const char *path, off_t size), (path, size), const char *, off_t)
CHANGES_AT(chmod, AT_FDCWD, path, (const char *path, mode_t permissions), (path, permissions), const char *, mode_t)
CHANGES_AT(fchmodat, folder, path, (int folder, const char *path, mode_t permissions, int flags),
           (folder, path, permissions, flags), int, const char *, mode_t, int)
CHANGES_AT(utimensat, folder, path, (int folder, const char *path, const struct timespec times[2], int flags),
           (folder, path, times, flags), int, const char *, const struct timespec *, int)
