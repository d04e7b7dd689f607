package statuspage_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/statuspage"
)

// oneState stands for the store that the Runner saves to; any consistency.Store will do.
type oneState struct{ consistency.State }

func (s oneState) Load(_ context.Context, check string) (consistency.State, error) {
	if check != s.Check {
		return consistency.State{Check: check}, nil
	}
	return s.State, nil
}

func (oneState) Save(context.Context, string, consistency.State) (int64, error) { return 0, nil }

// The same address serves people and programs. A check that has not run is not green.
func ExamplePage() {
	checks := []consistency.Check{
		consistency.CheckFunc{Meta: consistency.Meta{Name: "orders-without-payment"}},
		consistency.CheckFunc{Meta: consistency.Meta{Name: "brand-new"}},
	}
	store := oneState{consistency.State{Check: "orders-without-payment", Outcome: consistency.Inconsistent, Total: 3, LastRun: time.Now()}}
	page := &statuspage.Page{Checks: checks, Store: store}
	mux := http.NewServeMux()
	mux.Handle("/consistency", page)
	server := httptest.NewServer(mux)
	defer server.Close()

	fetch := func(address string) string {
		response, err := http.Get(server.URL + address)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		return string(body)
	}
	fmt.Println(regexp.MustCompile(`<title>.*</title>`).FindString(fetch("/consistency")))
	fmt.Println(regexp.MustCompile(`"counts": \{[^}]*\}`).FindString(fetch("/consistency?format=json")))
	fmt.Println(regexp.MustCompile(`<title>.*</title>`).FindString(fetch("/consistency?check=brand-new")))
	// Output:
	// <title>Inconsistent: 1 inconsistent, 1 could not tell (2 checks) – Data consistency</title>
	// "counts": {
	//     "consistent": 0,
	//     "inconsistent": 1,
	//     "unknown": 1
	//   }
	// <title>Could not tell: brand-new – Data consistency</title>
}
