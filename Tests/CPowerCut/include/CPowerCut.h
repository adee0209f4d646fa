// SPDX-License-Identifier: Apache-2.0

// A file system for SQLite, by the name "powercut", over that of the system. It remembers which writes were synced, and can fail,
// or lose power: then what was not synced is lost, torn or kept, as a seed says. One for the whole process; without
// the package trait SQLite there is none.
#ifndef CPOWERCUT_H
#define CPOWERCUT_H

#include <stdint.h>

/// What fails from now on.
enum {
  POWERCUT_WORKS = 0,
  /// Nothing can be written: the disk is full.
  POWERCUT_FULL = 1,
  /// Everything can be written and nothing be synced.
  POWERCUT_UNSYNCED = 2,
  /// Nothing can be read, written or synced.
  POWERCUT_BROKEN = 3,
};

/// Makes the file system known to SQLite. Returns whether there is one.
int powercut_register(void);

/// Makes operations on files whose path begins with `folder` fail in the given way, from now on.
void powercut_fail(const char *folder, int kind);

/// Cuts the power of `folder` after so many more writes, truncations, deletions and syncs: nothing reaches its files then.
void powercut_after(const char *folder, int64_t operations);

/// Whether the power of `folder` is cut.
int powercut_is_cut(const char *folder);

/// How many syncs there have been of files of `folder`.
int64_t powercut_syncs(const char *folder);

/// Brings the power back when all files are closed: each file of `folder` holds what was synced, and of the rest what
/// `seed` has left. Returns whether that worked.
int powercut_restore(const char *folder, uint64_t seed);

#endif
