package explainguard_test

import (
	"bytes"
	"fmt"
	"log"
	"strings"

	"github.com/tashikame-go/tashikame/explainguard"
)

// reports are those of two statements, one bad.
func reports() []*explainguard.Report {
	strict := &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 4_000, IndexRows: explainguard.Unlimited}}
	bad, good := strict.Judge(joined()), (&explainguard.Guard{Budget: explainguard.Budget{IndexRows: explainguard.Unlimited}}).Judge(joined())
	bad.CallSite = explainguard.CallSite{File: "/src/orders/repository.go", Line: 42}
	return []*explainguard.Report{good, bad}
}

// Reports become a page, worst first; `explainguard report` does the same with what tests left in $EXPLAINGUARD_REPORTS.
func ExampleNewRun() {
	run := explainguard.NewRun(reports()...)
	fmt.Println(run.Count(explainguard.Fail), "of", len(run.Entries))
	fmt.Println(run.Entries[0].Verdict, run.Entries[0].Findings[0].Rule)
	var page bytes.Buffer
	fmt.Println(run.WriteHTML(&page), strings.Contains(page.String(), "repository.go"))
	// Output:
	// 1 of 2
	// Fail rows-budget
	// <nil> true
}

// In a GitHub workflow, annotations show at the lines of the pull request.
func ExampleRun_WriteGitHub() {
	var out bytes.Buffer
	if err := explainguard.NewRun(reports()...).WriteGitHub(&out, "/src"); err != nil {
		log.Fatal(err)
	}
	firstLine, _, _ := strings.Cut(out.String(), "%0A")
	fmt.Println(firstLine)
	// Output:
	// ::error file=orders/repository.go,line=42,title=explainguard%3A rows-budget::the statement examines 4,100 rows; most of them, 4,000, at r in the main query (limit 4,000 rows)
}

// The runs of several test processes are read and merged.
func ExampleReadRun() {
	var first, second bytes.Buffer
	for _, file := range []*bytes.Buffer{&first, &second} {
		if err := explainguard.NewRun(reports()...).WriteJSON(file); err != nil {
			log.Fatal(err)
		}
	}
	run, err := explainguard.ReadRun(&first)
	if err != nil {
		log.Fatal(err)
	}
	other, err := explainguard.ReadRun(&second)
	if err != nil {
		log.Fatal(err)
	}
	run.Merge(other)
	fmt.Println(len(run.Entries), "reports,", run.Count(explainguard.Fail), "fail")
	// Output: 4 reports, 2 fail
}
