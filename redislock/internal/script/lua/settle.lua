m.settle()
return m.answer({0, m.lease})
