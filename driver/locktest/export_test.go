package locktest

// RunWanted runs some of the cases.
var RunWanted = run

// CaseNames returns the names GROUP/CASE of all cases.
func CaseNames() []string {
	var names []string
	for _, g := range groups() {
		for _, c := range g.cases {
			names = append(names, g.name+"/"+c.name)
		}
	}
	return names
}

// ChildVariable tells a process that it is a child of the suite.
const ChildVariable = childVariable
