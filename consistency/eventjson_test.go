package consistency_test

import (
	"encoding/json"
	"fmt"

	"github.com/tashikame-go/tashikame/consistency"
)

func ExampleEventJSON() {
	object, err := consistency.EventJSON(consistency.Event{Result: consistency.Result{
		Check: consistency.Meta{Name: "orders-without-payment"}, Outcome: consistency.Consistent, Examined: 5000, Attempts: 1,
	}}, 0, 0)
	var e struct {
		Check, Outcome string
		Examined       int
	}
	fmt.Println(json.Unmarshal(object, &e), e, err)
	// Output: <nil> {orders-without-payment consistent 5000} <nil>
}
