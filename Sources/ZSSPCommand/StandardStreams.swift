// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Standard input, output and error.
enum StandardStreams {
  /// Opens those that are closed, so that reading or writing them fails. Otherwise the next file
  /// would get the number of standard output, and what is printed would be written into it.
  static func fill() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is that of the closed one. The direction is the one that it is not
      // used in.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }
}
