// Command modcheck compares the repository's modules with the rules that keep them apart.
//
// It promises to name, one a line, each place where
//
//   - modules.txt, go.work and the go.mod files on disk do not name the same modules;
//   - a module's path is not its folder's, or a go directive is lower than the root module's;
//   - the root module requires anything at all;
//   - a released module requires a module that is never released;
//   - a module requires one of its siblings without a replace to the sibling's folder;
//   - a released module other than the root imports the root module's internal packages. Go allows that by
//     the path's prefix, but a user may combine versions of the two that do not fit;
//   - a folder of Go files has no doc.go (in a command: no package comment at all).
//
// Imports are read from every Go file, whatever its build constraints, so a file for another system counts.
// It exits 1 when it named a place, and reads go.mod and go.work through the go command, offline.
package main
