/* Records what a process really asks the kernel to do with the files of one directory, in order, so that a power cut can be
 * played back at any point. Loaded with LD_PRELOAD; EVENTCTL_RECORD_DIR names the directory, EVENTCTL_RECORD_TRACE the trace.
 *
 * A trace record is: op (1 byte: w write, t truncate, s sync, d unlink, a acknowledgement), length of the file's name (1 byte),
 * the name, offset or size (8 bytes), length of the data (4 bytes), the data. All little-endian as the machine has it.
 * The trace is opened with O_APPEND and each record is one writev, so records of several processes never mix.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int trace_fd = -1;
static char directory[PATH_MAX];
static size_t directory_length;

static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void start(void) {
    real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    const char *dir = getenv("EVENTCTL_RECORD_DIR"), *trace = getenv("EVENTCTL_RECORD_TRACE");
    if (dir == NULL || trace == NULL || realpath(dir, directory) == NULL) return;
    directory_length = strlen(directory);
    trace_fd = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* The file's name below the directory, or NULL when it lies elsewhere or is shared memory. */
static const char *inside(const char *path) {
    if (strncmp(path, directory, directory_length) != 0 || path[directory_length] != '/') return NULL;
    const char *name = path + directory_length + 1;
    size_t length = strlen(name);
    if (length == 0 || length > 200 || (length > 4 && strcmp(name + length - 4, "-shm") == 0)) return NULL;
    return name;
}

static const char *name_of(int fd, char *buffer) {
    char link[64];
    if (trace_fd < 0 || fd == trace_fd) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length <= 0) return NULL;
    buffer[length] = 0;
    return inside(buffer);
}

static void record(char op, const char *name, uint64_t offset, const void *data, uint32_t length) {
    uint8_t name_length = (uint8_t)strlen(name);
    struct iovec parts[] = {{&op, 1}, {&name_length, 1}, {(void *)name, name_length}, {&offset, 8}, {&length, 4}, {(void *)data, length}};
    if (writev(trace_fd, parts, length ? 6 : 5) < 0) abort();
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    char path[PATH_MAX];
    ssize_t done = real_pwrite64(fd, data, length, offset);
    const char *name = done > 0 ? name_of(fd, path) : NULL;
    if (name != NULL) record('w', name, (uint64_t)offset, data, (uint32_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    int done = real_ftruncate64(fd, size);
    const char *name = done == 0 ? name_of(fd, path) : NULL;
    if (name != NULL) record('t', name, (uint64_t)size, NULL, 0);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fsync(int fd) {
    char path[PATH_MAX];
    int done = real_fsync(fd);
    const char *name = done == 0 ? name_of(fd, path) : NULL;
    if (name != NULL) record('s', name, 0, NULL, 0);
    return done;
}

int fdatasync(int fd) {
    char path[PATH_MAX];
    int done = real_fdatasync(fd);
    const char *name = done == 0 ? name_of(fd, path) : NULL;
    if (name != NULL) record('s', name, 0, NULL, 0);
    return done;
}

int unlink(const char *path) {
    char whole[PATH_MAX];
    const char *name = trace_fd >= 0 && realpath(path, whole) != NULL ? inside(whole) : NULL;
    char copy[256];
    if (name != NULL) snprintf(copy, sizeof copy, "%s", name);
    int done = real_unlink(path);
    if (done == 0 && name != NULL) record('d', copy, 0, NULL, 0);
    return done;
}
