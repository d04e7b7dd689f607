package explainguard

import "regexp"

// plainLookup matches the shape of a look-up in one table, in which each argument is compared with a column and nothing but AND connects the
// comparisons. Values cannot make one of them vanish, as they can in `? = 0 OR id = ?`.
var plainLookup = func() *regexp.Regexp {
	const name = "(?:[\\w$]+|`[^`]+`)"
	const column = "(?:" + name + `\.)?` + name
	const test = column + ` (?:(?:=|<>|!=|<|>|<=|>=) \?|is null|is not null)`
	return regexp.MustCompile(`(?i)^select [^?]* from (?:` + name + `\.)?` + name + `(?: (?:as )?` + name + `)? where ` + test + `(?: and ` + test + `)*` +
		`(?: order by ` + column + `(?: asc| desc)?)?(?: limit \?)?$`)
}()

// lookup is what one plan of a plainLookup tells of all: MySQL reads a table by a whole unique key at once, before it weighs anything, and
// does so for each integer that the key is given.
type lookup struct {
	query string  // with these literals
	rows  float64 // that each examines
	at    int     // workload.changes when it was planned
}

// readsEnd matches what the server answers from the end of an index, or from its count of rows, which a plan does not tell from a look-up.
var readsEnd = regexp.MustCompile(`(?i)\b(?:min|max|count) ?\(`)

func isPlainLookup(shape string) bool {
	return plainLookup.MatchString(shape) && !readsEnd.MatchString(shape)
}

// knownLookup returns what a statement with these arguments examines, if that is known without asking.
func (w *workload) knownLookup(e *entry, text *statementText, args []any) *tuple {
	if e.lookup == nil || e.lookup.query != text.query || e.lookup.at != w.changes || !integers(args) {
		return nil
	}
	return &tuple{rows: e.lookup.rows}
}

// learn notes that a plan stands for all arguments.
func (j *job) learn(r *Report) {
	if e := j.entry; j.text.plainLookup && integers(j.args) && j.plan.readsByUniqueKey() {
		e.lookup = &lookup{query: j.text.query, rows: r.Work.Total, at: j.at}
	}
}

func integers(args []any) bool {
	for _, a := range args {
		switch a.(type) {
		case int64, uint64:
		default:
			return false
		}
	}
	return len(args) > 0
}

// readsByUniqueKey reports whether all that the plan does is to read one row of one stored table before anything else.
func (p *Plan) readsByUniqueKey() bool {
	blocks := p.Blocks()
	if len(blocks) != 1 || !p.Analysable() || p.mariaDB() {
		return false
	}
	all := blocks[0].Accesses()
	return len(all) == 1 && all[0].Base && all[0].Access == AccessConst
}

// changing reports whether a statement without a plan may change how others are planned.
func changing(verb string) bool { return !unchanging[verb] }

var unchanging = map[string]bool{
	"BEGIN": true, "START TRANSACTION": true, "COMMIT": true, "ROLLBACK": true, "SAVEPOINT": true, "RELEASE SAVEPOINT": true, "SHOW": true, "DO": true,
}
