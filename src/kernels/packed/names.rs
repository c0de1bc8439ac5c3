//! Where the functions of a module name its variables. A parameter or a local value may have the
//! name of a variable; within its scope the name is not a use of the variable.

use super::module::{Function, Module, closing};
use super::tokens::Kind;

/// A place where a function names a variable of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// The place of the variable in the list of variables.
    pub variable: usize,
    /// The place of its name in the list of tokens.
    pub token: usize,
}

/// Names that are declared within brackets.
struct Scope<'t> {
    names: Vec<&'t str>,
    /// The token with which the scope ends.
    end: usize,
}

/// All uses of variables in a function, in order.
///
/// # Errors
/// Brackets without an end.
pub(crate) fn uses(module: &Module, function: &Function) -> Result<Vec<Use>, String> {
    let tokens = &module.tokens;
    let close = |open: usize| {
        closing(tokens, open).ok_or_else(|| {
            let line = tokens.get(open).map_or(0, |t| module.line(t.begin));
            format!("line {line}: a bracket without an end")
        })
    };
    let parameters = function.parameters.iter().map(|p| tokens[p.token].text).collect();
    let mut scopes = vec![Scope { names: parameters, end: function.body.end }];
    // A name is known behind the statement that declares it.
    let mut declared: Option<&str> = None;
    let mut found = Vec::new();
    let mut at = function.body.start;
    while at < function.body.end {
        let token = tokens[at];
        match token.text {
            "{" => scopes.push(Scope { names: Vec::new(), end: close(at)? }),
            // The head of the loop has a scope that ends with its body.
            "for" => scopes.push(Scope { names: Vec::new(), end: close(close(at + 1)? + 1)? }),
            ";" => {
                if let (Some(name), Some(scope)) = (declared.take(), scopes.last_mut()) {
                    scope.names.push(name);
                }
            }
            "let" | "var" | "const" => {
                at += 1;
                if tokens[at].is("<") {
                    while !tokens[at].is(">") {
                        at += 1;
                    }
                    at += 1;
                }
                declared = Some(tokens[at].text);
            }
            name if token.kind == Kind::Word && !tokens[at - 1].is(".") => {
                let is_local = scopes.iter().any(|s| s.names.contains(&name));
                let variable = module.variables.iter().position(|v| v.name == name);
                if let Some(variable) = variable.filter(|_| !is_local) {
                    found.push(Use { variable, token: at });
                }
            }
            _ => {}
        }
        while scopes.last().is_some_and(|s| s.end == at) {
            scopes.pop();
        }
        at += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines in which a function names `x`.
    fn lines(body: &str) -> Vec<usize> {
        let text = format!("var<private> x: u32;\nfn f(y: u32) {{\n{body}\n}}");
        let module = Module::of(&text).unwrap();
        let found = uses(&module, &module.functions[0]).unwrap();
        found.iter().map(|u| module.line(module.tokens[u.token].begin) - 2).collect()
    }

    #[test]
    fn a_local_value_hides_a_variable_behind_its_statement_alone() {
        assert_eq!(lines("x = 1u;\nlet x = x + 1u;\nlet z = x;"), [1, 2]);
        assert_eq!(lines("{ var x = 1u;\nx = 2u; }\nx = 3u;"), [3]);
        assert_eq!(lines("if (x == 1u) {\nlet x = 1u; }\nelse { x = 2u; }"), [1, 3]);
    }

    #[test]
    fn the_name_of_a_loop_ends_with_its_body() {
        assert_eq!(lines("for (var x = 0u; x < 2u; x++) {\nlet z = x; }\nx = 1u;"), [3]);
        assert_eq!(lines("for (var i = x; i < 2u; i++) {\nvar x = 1u; }\nx = 1u;"), [1, 3]);
    }

    #[test]
    fn fields_and_parameters_are_no_uses() {
        assert_eq!(lines("let z = y.x;\nlet w = z[x].x;"), [2]);
        let text = "var<private> x: u32;\nfn f(x: u32) -> u32 { return x; }";
        let module = Module::of(text).unwrap();
        assert_eq!(uses(&module, &module.functions[0]).unwrap(), []);
    }
}
