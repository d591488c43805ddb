internal import Foundation

/// A line on standard output at once, also where that is a file or a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// A line on standard error: progress, and what is wrong.
func tell(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
