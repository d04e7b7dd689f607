package consistencytest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/consistencytest"
)

// printed is a test whose failure is printed, for the example.
type printed struct{ testing.TB }

func (printed) Helper()                           {}
func (printed) Context() context.Context          { return context.Background() }
func (printed) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printed) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Next to each check belongs a test that it catches what it was written for.
func ExampleMustCatch() {
	t := printed{} // in your test: t *testing.T
	stock := map[string]int{"socks": 3}
	check := consistency.CheckFunc{
		Meta: consistency.Meta{Name: "negative-stock"},
		Func: func(context.Context) (consistency.Findings, error) {
			f := consistency.Findings{Examined: int64(len(stock))}
			for item, n := range stock {
				if n < 0 {
					f.Violations = append(f.Violations, consistency.Violation{Key: item})
				}
			}
			return f, nil
		},
	}
	consistencytest.MustCatch(t, check, func(context.Context) (func(context.Context) error, error) {
		stock["shoes"] = -1
		return func(context.Context) error { delete(stock, "shoes"); return nil }, nil
	})
	fmt.Println("negative-stock sees a negative stock")
	// Output: negative-stock sees a negative stock
}
