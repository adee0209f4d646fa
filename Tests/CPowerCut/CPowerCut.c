// SPDX-License-Identifier: Apache-2.0
#include "CPowerCut.h"

#ifdef ZSSP_SQLITE

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Memory is never given back when it runs out, and running out of it ends the tests.
static void *need(size_t size) {
  void *memory = calloc(1, size ? size : 1);
  if (memory == NULL) abort();
  return memory;
}

// An operation that was not synced, so a power cut may lose it.
typedef struct Operation {
  enum { WRITE, TRUNCATE, DELETE } kind;
  int64_t offset;
  int64_t size;
  unsigned char *bytes;
  struct Operation *next;
} Operation;

// The synced content of a file, and the operations since.
typedef struct Image {
  char path[1024];
  int exists;
  int64_t size;
  unsigned char *bytes;
  Operation *first, *last;
  struct Image *next;
} Image;

// The state of a folder.
typedef struct Folder {
  char path[1024];
  int kind;
  int64_t remaining;
  int is_counting, is_cut;
  int64_t syncs;
  struct Folder *next;
} Folder;

typedef struct File {
  sqlite3_file base;
  Image *image;
  Folder *folder;
  sqlite3_file *real;
} File;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Image *images;
static Folder *folders;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim;

static Folder *folder_named(const char *path) {
  for (Folder *folder = folders; folder; folder = folder->next) {
    if (strcmp(folder->path, path) == 0) return folder;
  }
  Folder *folder = need(sizeof *folder);
  snprintf(folder->path, sizeof folder->path, "%s", path);
  folder->next = folders;
  folders = folder;
  return folder;
}

static Folder *folder_of(const char *path) {
  char copy[1024];
  snprintf(copy, sizeof copy, "%s", path);
  char *end = strrchr(copy, '/');
  if (end) *end = 0;
  return folder_named(copy);
}

// Whether one more operation gets through. Called with the lock.
static int has_power(Folder *folder) {
  if (folder->is_counting && folder->remaining-- <= 0) folder->is_cut = 1;
  return !folder->is_cut;
}

static void resize(Image *image, int64_t size) {
  unsigned char *bytes = need((size_t)size);
  memcpy(bytes, image->bytes, (size_t)(size < image->size ? size : image->size));
  free(image->bytes);
  image->bytes = bytes;
  image->size = size;
}

static void apply(Image *image, const Operation *operation, int64_t size) {
  switch (operation->kind) {
  case WRITE:
    if (operation->offset + size > image->size) resize(image, operation->offset + size);
    memcpy(image->bytes + operation->offset, operation->bytes, (size_t)size);
    image->exists = 1;
    break;
  case TRUNCATE:
    resize(image, operation->size);
    break;
  case DELETE:
    resize(image, 0);
    image->exists = 0;
    break;
  }
}

static void record(Image *image, int kind, int64_t offset, int64_t size, const void *bytes) {
  Operation *operation = need(sizeof *operation);
  operation->kind = kind;
  operation->offset = offset;
  operation->size = size;
  if (bytes) {
    operation->bytes = need((size_t)size);
    memcpy(operation->bytes, bytes, (size_t)size);
  }
  if (image->last) image->last->next = operation; else image->first = operation;
  image->last = operation;
}

static void forget(Image *image) {
  for (Operation *operation = image->first; operation;) {
    Operation *next = operation->next;
    free(operation->bytes);
    free(operation);
    operation = next;
  }
  image->first = image->last = NULL;
}

static void sync_image(Image *image) {
  for (Operation *operation = image->first; operation; operation = operation->next) {
    apply(image, operation, operation->size);
  }
  image->exists = 1;
  forget(image);
}

static Image *image_of(const char *path) {
  for (Image *image = images; image; image = image->next) {
    if (strcmp(image->path, path) == 0) return image;
  }
  Image *image = need(sizeof *image);
  snprintf(image->path, sizeof image->path, "%s", path);
  image->bytes = need(0);
  FILE *file = fopen(path, "rb");
  if (file) {
    image->exists = 1;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    resize(image, size);
    if (fread(image->bytes, 1, (size_t)size, file) != (size_t)size) abort();
    fclose(file);
  }
  image->next = images;
  images = image;
  return image;
}

// The methods of a file.

static sqlite3_file *real_of(sqlite3_file *file) { return ((File *)file)->real; }

static int file_close(sqlite3_file *file) { return real_of(file)->pMethods->xClose(real_of(file)); }

static int file_read(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset) {
  File *file = (File *)base;
  pthread_mutex_lock(&lock);
  int is_broken = file->folder->kind == POWERCUT_BROKEN;
  pthread_mutex_unlock(&lock);
  return is_broken ? SQLITE_IOERR_READ : file->real->pMethods->xRead(file->real, bytes, count, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset) {
  File *file = (File *)base;
  pthread_mutex_lock(&lock);
  int result = SQLITE_OK;
  if (file->folder->kind == POWERCUT_FULL) result = SQLITE_FULL;
  if (file->folder->kind == POWERCUT_BROKEN || !has_power(file->folder)) result = SQLITE_IOERR_WRITE;
  if (result == SQLITE_OK) result = file->real->pMethods->xWrite(file->real, bytes, count, offset);
  if (result == SQLITE_OK) record(file->image, WRITE, offset, count, bytes);
  pthread_mutex_unlock(&lock);
  return result;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
  File *file = (File *)base;
  pthread_mutex_lock(&lock);
  int result = SQLITE_OK;
  if (file->folder->kind == POWERCUT_BROKEN || !has_power(file->folder)) result = SQLITE_IOERR_TRUNCATE;
  if (result == SQLITE_OK) result = file->real->pMethods->xTruncate(file->real, size);
  if (result == SQLITE_OK) record(file->image, TRUNCATE, 0, size, NULL);
  pthread_mutex_unlock(&lock);
  return result;
}

static int file_sync(sqlite3_file *base, int flags) {
  File *file = (File *)base;
  (void)flags;
  pthread_mutex_lock(&lock);
  int result = SQLITE_OK;
  int kind = file->folder->kind;
  // Nothing here needs the real disk to be synced.
  if (kind == POWERCUT_UNSYNCED || kind == POWERCUT_BROKEN || !has_power(file->folder)) result = SQLITE_IOERR_FSYNC;
  if (result == SQLITE_OK) {
    sync_image(file->image);
    file->folder->syncs++;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int file_lock(sqlite3_file *file, int kind) { return real_of(file)->pMethods->xLock(real_of(file), kind); }
static int file_unlock(sqlite3_file *file, int kind) { return real_of(file)->pMethods->xUnlock(real_of(file), kind); }
static int file_check(sqlite3_file *file, int *out) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int file_control(sqlite3_file *file, int operation, void *argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}
static int file_sector(sqlite3_file *file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }
static int file_traits(sqlite3_file *file) { return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file)); }
static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}
static int shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void shm_barrier(sqlite3_file *file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }
static int shm_unmap(sqlite3_file *file, int deletes) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

static const sqlite3_io_methods methods = {
    2,           file_close,  file_read,    file_write,  file_truncate, file_sync, file_size,
    file_lock,   file_unlock, file_check,   file_control, file_sector,  file_traits, shm_map,
    shm_lock,    shm_barrier, shm_unmap,    NULL,        NULL,
};

// Methods of the file system

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out) {
  (void)vfs;
  File *file = (File *)base;
  file->base.pMethods = NULL;
  file->real = (sqlite3_file *)(file + 1);
  pthread_mutex_lock(&lock);
  file->folder = folder_of(path ? path : "");
  // What is there before it is opened, which may make it.
  file->image = image_of(path ? path : "");
  pthread_mutex_unlock(&lock);
  int result = real_vfs->xOpen(real_vfs, path, file->real, flags, out);
  if (result == SQLITE_OK) file->base.pMethods = &methods;
  return result;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int syncs) {
  (void)vfs;
  pthread_mutex_lock(&lock);
  Folder *folder = folder_of(path);
  int result = folder->kind == POWERCUT_BROKEN || !has_power(folder) ? SQLITE_IOERR_DELETE : SQLITE_OK;
  if (result == SQLITE_OK) {
    Image *image = image_of(path);
    result = real_vfs->xDelete(real_vfs, path, 0);
    if (result == SQLITE_OK) record(image, DELETE, 0, 0, NULL);
    if (result == SQLITE_OK && syncs) {
      sync_image(image);
      image->exists = 0;
    }
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int access_file(sqlite3_vfs *vfs, const char *path, int flags, int *out) {
  (void)vfs;
  return real_vfs->xAccess(real_vfs, path, flags, out);
}
static int full_path(sqlite3_vfs *vfs, const char *path, int size, char *out) {
  (void)vfs;
  return real_vfs->xFullPathname(real_vfs, path, size, out);
}
static int fill_random(sqlite3_vfs *vfs, int count, char *out) {
  (void)vfs;
  return real_vfs->xRandomness(real_vfs, count, out);
}
static int sleep_for(sqlite3_vfs *vfs, int microseconds) {
  (void)vfs;
  return real_vfs->xSleep(real_vfs, microseconds);
}
static int time_now(sqlite3_vfs *vfs, double *out) {
  (void)vfs;
  return real_vfs->xCurrentTime(real_vfs, out);
}
static int last_error(sqlite3_vfs *vfs, int size, char *out) {
  (void)vfs;
  return real_vfs->xGetLastError(real_vfs, size, out);
}

int powercut_register(void) {
  pthread_mutex_lock(&lock);
  int result = SQLITE_OK;
  if (real_vfs == NULL) {
    real_vfs = sqlite3_vfs_find(NULL);
    shim.iVersion = 1;
    shim.szOsFile = (int)sizeof(File) + real_vfs->szOsFile;
    shim.mxPathname = real_vfs->mxPathname;
    shim.zName = "powercut";
    shim.xOpen = open_file;
    shim.xDelete = delete_file;
    shim.xAccess = access_file;
    shim.xFullPathname = full_path;
    shim.xRandomness = fill_random;
    shim.xSleep = sleep_for;
    shim.xCurrentTime = time_now;
    shim.xGetLastError = last_error;
    result = sqlite3_vfs_register(&shim, 0);
  }
  pthread_mutex_unlock(&lock);
  return result == SQLITE_OK;
}

void powercut_fail(const char *folder, int kind) {
  pthread_mutex_lock(&lock);
  folder_named(folder)->kind = kind;
  pthread_mutex_unlock(&lock);
}

void powercut_after(const char *folder, int64_t operations) {
  pthread_mutex_lock(&lock);
  Folder *found = folder_named(folder);
  found->is_counting = 1;
  found->remaining = operations;
  pthread_mutex_unlock(&lock);
}

int powercut_is_cut(const char *folder) {
  pthread_mutex_lock(&lock);
  int result = folder_named(folder)->is_cut;
  pthread_mutex_unlock(&lock);
  return result;
}

int64_t powercut_syncs(const char *folder) {
  pthread_mutex_lock(&lock);
  int64_t result = folder_named(folder)->syncs;
  pthread_mutex_unlock(&lock);
  return result;
}

static uint64_t next_random(uint64_t *state) {
  uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

// Writes the file as it is after the cut: the synced content, and some of the later operations.
static int settle(Image *image, uint64_t *random) {
  for (Operation *operation = image->first; operation; operation = operation->next) {
    uint64_t fate = next_random(random) % 4;
    if (fate == 0) {
      // A file whose deletion is lost is the old one: what was written to a new one of its name is lost with it.
      if (operation->kind == DELETE) break;
      continue;
    }
    int64_t size = operation->size;
    // Torn: some sectors of it.
    if (fate == 1 && operation->kind == WRITE) size = (int64_t)(next_random(random) % (uint64_t)(size + 1)) & ~511;
    apply(image, operation, size);
  }
  forget(image);
  if (!image->exists) return unlink(image->path) == 0 || access(image->path, F_OK) != 0;
  int file = open(image->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) return 0;
  int is_written = write(file, image->bytes, (size_t)image->size) == image->size;
  return close(file) == 0 && is_written;
}

int powercut_restore(const char *path, uint64_t seed) {
  pthread_mutex_lock(&lock);
  Folder *folder = folder_named(path);
  int is_good = 1;
  size_t length = strlen(path);
  for (Image **place = &images; *place;) {
    Image *image = *place;
    if (strncmp(image->path, path, length) != 0 || image->path[length] != '/') {
      place = &image->next;
      continue;
    }
    is_good &= settle(image, &seed);
    *place = image->next;
    free(image->bytes);
    free(image);
  }
  folder->is_cut = folder->is_counting = 0;
  folder->kind = POWERCUT_WORKS;
  pthread_mutex_unlock(&lock);
  return is_good;
}

#else

int powercut_register(void) { return 0; }
void powercut_fail(const char *folder, int kind) { (void)folder, (void)kind; }
void powercut_after(const char *folder, int64_t operations) { (void)folder, (void)operations; }
int powercut_is_cut(const char *folder) { return folder == 0; }
int64_t powercut_syncs(const char *folder) { return folder == 0; }
int powercut_restore(const char *folder, uint64_t seed) { return folder != 0 && seed == 0; }

#endif
