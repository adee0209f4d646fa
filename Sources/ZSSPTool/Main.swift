// SPDX-License-Identifier: Apache-2.0
import ZSSPCommand

@main
enum Main {
  static func main() async { await CommandLineTool.main() }
}
