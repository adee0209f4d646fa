// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Whether allocations can be counted in this build: with glibc, and without a sanitizer that has an allocator of its own.
bool allocation_counter_works(void);

/// How many blocks of memory this thread has asked for since it began.
uint64_t allocation_counter_value(void);
