//! regorus: one rule over a document keyed by system user, party and right, whose value is the level that it takes.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use engine_guest::world::{ACTIONS, Question, World, right_at};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Rc, Value};

use super::{Engine, LEVEL};

const POLICY: &str = "package rights
default allow := false
allow if input.level >= data.rows[input.user][input.party][input.right]
";
const RULE: &str = "data.rights.allow";

/// How the rule is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Compiled, on its virtual machine.
    Machine,
    Interpreter,
}

pub(super) struct Rego {
    way: Way,
    engine: regorus::Engine,
    machine: RegoVM,
    inputs: Vec<Value>,
}

impl Rego {
    pub(super) fn new(world: &World, way: Way) -> Result<Self> {
        let data = data(world)?;
        let mut engine = regorus::Engine::new();
        engine.add_policy("rights.rego".to_owned(), POLICY.to_owned())?;
        engine.add_data(data.clone())?;
        let rule: Rc<str> = RULE.into();
        let compiled = engine.compile_with_entrypoint(&rule)?;
        let program = Compiler::compile_from_policy(&compiled, &[RULE])?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_data(data)?;
        Ok(Self { way, engine, machine, inputs: Vec::new() })
    }
}

fn data(world: &World) -> Result<Value> {
    let level = |right: usize| Value::from([0_u32, 2, 3, 3].get(right / ACTIONS.len() % 4).copied().unwrap_or(0));
    let mut sets = Vec::new();
    for template in world.templates() {
        let mut set = BTreeMap::new();
        for right in &template.held {
            set.insert(Value::from(right_at(*right)?.to_string()), level(*right));
        }
        sets.push(Value::from(set));
    }
    let mut users = BTreeMap::new();
    for user in 0..world.shape().system_users {
        // Equal sets are one value, shared.
        let row = |party: String, template: usize| Some((Value::from(party), sets.get(template)?.clone()));
        let rows = world.rows(user).filter_map(|held| row(held.party.to_string(), held.template?));
        let rows: BTreeMap<Value, Value> = rows.collect();
        users.insert(Value::from(world.system_user_id(user).to_string()), Value::from(rows));
    }
    Ok(Value::from(BTreeMap::from([(Value::from("rows"), Value::from(users))])))
}

fn input(question: &Question) -> Result<Value> {
    Ok(Value::from(BTreeMap::from([
        (Value::from("user"), Value::from(question.system_user.to_string())),
        (Value::from("party"), Value::from(question.party.to_string())),
        (Value::from("right"), Value::from(right_at(question.right)?.to_string())),
        (Value::from("level"), Value::from(u32::from(LEVEL))),
    ])))
}

impl Engine for Rego {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Machine => "regorus",
            Way::Interpreter => "regorus_interpreter",
        }
    }

    fn given(&self) -> &'static str {
        match self.way {
            Way::Machine => {
                "data.rows[user][party][right], inputs ready-made, the rule compiled for its virtual machine"
            }
            Way::Interpreter => "the same, the rule interpreted",
        }
    }

    fn prepare(&mut self, questions: &[Question]) -> Result<()> {
        self.inputs = questions.iter().map(input).collect::<Result<_>>()?;
        Ok(())
    }

    fn decide(&mut self, question: usize) -> Result<bool> {
        let input = self.inputs.get(question).ok_or_else(|| anyhow!("no such question"))?.clone();
        let value = match self.way {
            Way::Machine => {
                self.machine.set_input(input);
                self.machine.execute()?
            }
            Way::Interpreter => {
                self.engine.set_input(input);
                self.engine.eval_rule(RULE.to_owned())?
            }
        };
        Ok(value == Value::from(true))
    }
}
