// SPDX-License-Identifier: Apache-2.0
public import Foundation

extension Process {
  /// Starts the program with no signal blocked. Threads of Dispatch block most of them, a program
  /// inherits that, and then SIGTERM does not end it.
  public func runWithSignals() throws {
    var none = sigset_t()
    var blocked = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &blocked)
    defer { pthread_sigmask(SIG_SETMASK, &blocked, nil) }
    try run()
  }
}
