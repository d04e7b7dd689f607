package explainguard

// DefaultRules returns the rules that a Guard applies when it is given none, those that say most exactly what is wrong
// first. The slice is the caller's own.
//
// What is left out on purpose: access types (a full scan of 200 rows is fine, an index look-up may read a million; only
// rows count), the server's cost figures (the outermost one does not include derived tables), and the server's
// ROWS_EXAMINED (it leaves out the rows a derived table reads).
func DefaultRules() []*Rule {
	return []*Rule{DerivedFilter, RowsBudget}
}
