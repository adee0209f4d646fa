// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Returns true if this build can count allocations: it uses glibc, and no sanitizer that replaces
/// the allocator.
bool allocation_counter_works(void);

/// Returns the number of allocations of this thread since its start.
uint64_t allocation_counter_value(void);
