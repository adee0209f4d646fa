// SPDX-License-Identifier: Apache-2.0

// A file system for SQLite, named "powercut", on top of the system's. It records which writes were
// synced, and can fail or lose power. A power cut loses, tears or keeps each write that was not
// synced, as a seed decides. The process has one. Without the package trait SQLite it has none.
#ifndef CPOWERCUT_H
#define CPOWERCUT_H

#include <stdint.h>

/// The operations that fail.
enum {
  POWERCUT_WORKS = 0,
  /// Nothing can be written: the disk is full.
  POWERCUT_FULL = 1,
  /// Writes succeed, and syncs fail.
  POWERCUT_UNSYNCED = 2,
  /// Nothing can be read, written or synced.
  POWERCUT_BROKEN = 3,
};

/// Registers the file system with SQLite. Returns 1, or 0 if the build has none.
int powercut_register(void);

/// Makes operations on files whose path begins with `folder` fail in the given way, from now on.
void powercut_fail(const char *folder, int kind);

/// Cuts the power of `folder` after this number of writes, truncations, deletions and syncs. Later
/// ones do not reach its files.
void powercut_after(const char *folder, int64_t operations);

/// Returns 1 if the power of `folder` is cut, otherwise 0.
int powercut_is_cut(const char *folder);

/// Returns the number of syncs of files in `folder`.
int64_t powercut_syncs(const char *folder);

/// Restores the power, after all files were closed. Each file in `folder` then holds everything
/// that was synced, and the part of the rest that `seed` selects. Returns 1 for success, otherwise
/// 0.
int powercut_restore(const char *folder, uint64_t seed);

#endif
