// Command consumer uses the released modules as a stranger would: from a scratch module in a temporary
// folder, outside the workspace, with nothing but requires and replaces to the folders of this repository.
//
// It promises, for every released module of modules.txt:
//
//   - a program that imports only the root module's packages, each in turn, has a module graph of the root
//     alone, keeps its own go directive, and is built without asking any module proxy;
//   - a program that imports only one driver builds and starts, and its graph and go directive are those in
//     graphs/, name by name. A change there is a change for every user: read it before you accept it
//     with -update. No graph holds another of this repository's modules than the root, nor a package that
//     belongs to commands only, whatever graphs/ says;
//   - a command builds in its own folder outside the workspace, and prints its help.
//
// A released module for which no case is known is a failure, never left out. It does not run a lock: the
// conformance suite does.
package main
