package explainguard

// DefaultRules returns the rules that a Guard applies when it is given none, those that say most exactly what is wrong
// first; rows-budget, which judges the total, comes last. The slice is the caller's own.
//
// Rules that name an access whose rows a rule before them has accounted for already stay quiet about it.
//
// What is left out on purpose: access types (a full scan of 200 rows is fine, an index look-up may read a million; only
// rows count), the server's cost figures (the outermost one does not include derived tables), and the server's
// ROWS_EXAMINED (it leaves out the rows a derived table reads).
func DefaultRules() []*Rule {
	return []*Rule{
		Unfinished, RequiredFilter, DerivedFilter, ImplicitConversion, JoinWithoutCondition, DependentSubquery, WriteScan, SortTemporary, FullScan,
		UnselectiveIndex, InList, LargeOffset, MaxExecutionTime, RowsBudget, EstimateOff,
	}
}
