package explainguard

import (
	"fmt"
	"slices"
	"strings"
)

// WriteScan fails a statement that locks many rows of a table by reading them.
var WriteScan = &Rule{
	Name: "write-scan",
	Doc: `A statement that writes, or that reads for update, locks more rows than it should.

At MySQL's default isolation level InnoDB locks every row, and the gap before it, that UPDATE, DELETE, SELECT … FOR UPDATE or FOR SHARE read, whether it
matches the WHERE or not; without a serving index that is the whole table, and every other writer waits. INSERT … SELECT and REPLACE … SELECT do the same
to the tables that they read. Undo and the replicas' apply time grow with it. (At READ COMMITTED the rows that do not match are released again, and the
source of INSERT … SELECT is not locked; the reading remains.)

It stays quiet when the statement examines no more than Budget.LockedRows rows of each table, and when LIMIT surely ends the
reading before: DELETE … LIMIT 1000 whose condition is on the columns of the index alone, or without any. A locking read is known by the statement's text.`,
	Budget: "LockedRows",
	Run:    runWriteScan,
}

func runWriteScan(p *Input) []Finding {
	limit := p.Budget.lockedRows()
	if unlimited(limit) {
		return nil
	}
	var found []Finding
	locks, asked := p.Plan.Writes, p.Plan.Writes != ""
	var only []string
	for _, v := range p.visits() {
		n := v.node
		if !n.isAccess() || !n.Base || n.Examined() <= limit || systemSchema[strings.ToLower(n.Schema)] || p.explained(n) != "" {
			continue
		}
		if !asked { // most plans have no such access, and their text is never read
			asked = true
			locks, only = lockingRead(p.Plan.Query)
		}
		if locks == "" {
			return nil
		}
		if p.Plan.Writes == "" && (v.block.Kind != BlockMain || len(only) > 0 && !slices.ContainsFunc(only, func(name string) bool { return strings.EqualFold(name, n.Alias) })) {
			continue
		}
		f := Finding{Rule: "write-scan", Block: v.block, Node: n, Figure: n.Examined(), Limit: limit, explains: []*Node{n}}
		f.What = fmt.Sprintf("the %s locks %s rows of %s in the %s until its transaction ends: all that it reads (%s)", locks, rows(n.Examined()), n.described(), v.block.Title(), n.Access)
		tested := v.ownConditions()
		switch {
		case n.readsAll() && tested != "":
			f.What += ", also those that do not match " + tested
			f.WayOut = "add an index that serves the condition, so that only matching rows are read; or find the keys by a plain SELECT and write by primary key, a few hundred at a time"
		case n.readsAll() && locks == "DELETE":
			f.WayOut = "delete in batches (DELETE … LIMIT, or ranges of the primary key), or TRUNCATE the table if everything goes"
		case n.readsAll():
			f.WayOut = "write in ranges of the primary key, a transaction for each, or narrow " + n.Name() + " by a condition that an index serves"
		default:
			f.WayOut = "write in batches, a transaction for each (LIMIT, or ranges of the primary key), or narrow it by a more selective index"
		}
		found = append(found, f)
	}
	return found
}

// lockingRead returns the clause by which a SELECT locks what it reads, and the tables it names; "" if there is none.
func lockingRead(query string) (clause string, only []string) {
	first, last := "", ""
	tables := -1
	words(query, func(word string, depth, end int) bool {
		if depth > 0 {
			return true
		}
		word = strings.ToUpper(word)
		switch {
		case word == "(":
			return true
		case first == "":
			first = word
		case last == "FOR" && (word == "UPDATE" || word == "SHARE"):
			clause = "SELECT … FOR " + word
		case last == "SHARE" && word == "MODE":
			clause = "SELECT … LOCK IN SHARE MODE"
		case clause != "" && word == "OF":
			tables = end
			return false
		}
		last = word
		return true
	})
	if tables >= 0 {
		rest := query[tables:]
		for _, part := range strings.Split(rest, ",") {
			part = strings.TrimSpace(part)
			if part == "" || !startsName(part[0]) {
				break
			}
			name, _ := nameAt(part, 0)
			only = append(only, name)
		}
	}
	return clause, only
}
