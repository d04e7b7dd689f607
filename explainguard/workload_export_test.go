package explainguard

import "runtime"

// Fingerprint is the shape of a statement.
func Fingerprint(query string) string { return fingerprint(query) }

// Here returns the call site of its caller.
func Here(skip ...string) CallSite {
	var pcs [maxCallers]uintptr
	return (&callSites{skip: skip}).find(pcs[:runtime.Callers(1, pcs[:])])
}

// PackageOf, IsLibrary and IsGenerated are how a frame is judged.
var (
	PackageOf   = packageOf
	IsLibrary   = isLibrary
	IsGenerated = isGenerated
)
