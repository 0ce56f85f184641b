//! Barriers that not all invocations of a workgroup reach: what comes of them is undefined, and some drivers hang.
//!
//! After WGSL's uniformity analysis, with one simplification: a variable that is ever given a value that differs between
//! invocations counts as such everywhere in its function. A function is looked at once for each kind of call.

use naga::{
    AddressSpace, Binding, Block, BuiltIn, Expression, Function, Handle, Module, Span, Statement, StorageAccess,
    TypeInner,
};
use std::collections::HashMap;

/// A barrier in control flow that differs between the invocations of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergent {
    /// The barrier.
    pub barrier: Span,
    /// What decides who reaches it, where that is in the same function.
    pub because: Option<Span>,
}

/// Finds such a barrier in what an entry point runs.
pub fn divergent_barrier(module: &Module, entry: &naga::EntryPoint) -> Option<Divergent> {
    let mut calls = Calls { module, known: HashMap::new(), kinds: HashMap::new(), found: None };
    let arguments = vec![false; entry.function.arguments.len()];
    calls.body(&entry.function, &arguments, false);
    calls.found
}

/// Kinds of call of one function beyond which all are taken as the most divergent: generated text could have very many.
const MOST_KINDS: usize = 64;

/// Passes over a function after which all its variables are taken as different: each pass follows values by one more.
const MOST_PASSES: usize = 64;

/// What a call does to its caller's values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Effect {
    result: bool,
    /// Whether what an argument points to is given values that differ.
    arguments: Vec<bool>,
}

struct Calls<'a> {
    module: &'a Module,
    /// Effects by function, arguments that differ, and control flow that does.
    known: HashMap<(Handle<Function>, Vec<bool>, bool), Effect>,
    kinds: HashMap<Handle<Function>, usize>,
    found: Option<Divergent>,
}

impl Calls<'_> {
    fn call(&mut self, handle: Handle<Function>, arguments: Vec<bool>, flow: bool) -> Effect {
        let key = (handle, arguments, flow);
        if let Some(effect) = self.known.get(&key) {
            return effect.clone();
        }
        let module = self.module;
        let kinds = self.kinds.entry(handle).or_default();
        *kinds += 1;
        if *kinds > MOST_KINDS {
            return Effect { result: true, arguments: vec![true; key.1.len()] };
        }
        let effect = self.body(&module.functions[handle], &key.1, flow);
        self.known.insert(key, effect.clone());
        effect
    }

    fn body(&mut self, function: &Function, arguments: &[bool], flow: bool) -> Effect {
        let mut body = Body {
            function,
            differs: vec![false; function.expressions.len()],
            locals: vec![false; function.local_variables.len()],
            arguments: arguments.to_vec(),
            results: vec![false; function.expressions.len()],
            loops: HashMap::new(),
            returned: false,
            calls: self,
        };
        for pass in 0.. {
            if pass == MOST_PASSES {
                body.locals.fill(true);
                body.results.fill(true);
            }
            let before = body.state();
            body.evaluate();
            body.block(&function.body, Flow { differs: flow, because: None });
            if before == body.state() {
                break;
            }
        }
        Effect { result: body.returned, arguments: body.arguments }
    }
}

/// Control flow at a place: whether it differs between invocations, and what decides that.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flow {
    differs: bool,
    because: Option<Span>,
}

impl Flow {
    fn or(self, other: Flow) -> Flow {
        if self.differs { self } else { other }
    }

    fn if_differs(self, differs: bool, because: Span) -> Flow {
        self.or(Flow { differs, because: differs.then_some(because) })
    }
}

struct Body<'a, 'm> {
    function: &'a Function,
    /// Of each expression.
    differs: Vec<bool>,
    /// Of each variable: whether it is ever given a value that differs.
    locals: Vec<bool>,
    /// Of each argument; of a pointer, what it points to.
    arguments: Vec<bool>,
    /// Of expressions that a statement computes.
    results: Vec<bool>,
    /// Of each loop, by the place of its body: how its end comes back to its beginning.
    loops: HashMap<usize, Flow>,
    returned: bool,
    calls: &'a mut Calls<'m>,
}

impl Body<'_, '_> {
    /// What grows from pass to pass.
    fn state(&self) -> (Vec<bool>, Vec<bool>, Vec<bool>, HashMap<usize, Flow>) {
        (self.locals.clone(), self.arguments.clone(), self.results.clone(), self.loops.clone())
    }

    fn differs(&self, handle: Handle<Expression>) -> bool {
        self.differs[handle.index()]
    }

    /// Evaluates all expressions: operands come before those that they are for.
    fn evaluate(&mut self) {
        for (handle, expression) in self.function.expressions.iter() {
            if let Expression::AccessIndex { base, index } = expression
                && let Some(builtin) = self.builtin_of(*base, *index)
            {
                self.differs[handle.index()] = !is_uniform(builtin);
                continue;
            }
            let mut differs = match expression {
                Expression::FunctionArgument(n) => self.argument(*n as usize),
                Expression::GlobalVariable(variable) => {
                    !is_read_only(self.calls.module.global_variables[*variable].space)
                }
                Expression::LocalVariable(variable) => self.locals[variable.index()],
                Expression::CallResult(_) | Expression::SubgroupBallotResult => self.results[handle.index()],
                Expression::AtomicResult { .. }
                | Expression::SubgroupOperationResult { .. }
                | Expression::RayQueryProceedResult
                | Expression::RayQueryGetIntersection { .. }
                | Expression::RayQueryVertexPositions { .. }
                | Expression::CooperativeLoad { .. }
                | Expression::CooperativeMultiplyAdd { .. }
                | Expression::Derivative { .. } => true,
                _ => false,
            };
            operands(expression, |operand| differs |= self.differs(operand));
            self.differs[handle.index()] = differs;
        }
    }

    fn argument(&self, n: usize) -> bool {
        let argument = &self.function.arguments[n];
        let ours = match &self.calls.module.types[argument.ty].inner {
            TypeInner::Pointer { space, .. } | TypeInner::ValuePointer { space, .. } => match space {
                AddressSpace::Function => self.arguments[n],
                space => self.arguments[n] || !is_read_only(*space),
            },
            // Its members say what they are.
            TypeInner::Struct { members, .. } => {
                self.arguments[n]
                    || members.iter().any(|m| matches!(m.binding, Some(Binding::BuiltIn(b)) if !is_uniform(b)))
            }
            _ => self.arguments[n],
        };
        ours || matches!(argument.binding, Some(Binding::BuiltIn(builtin)) if !is_uniform(builtin))
    }

    /// What the runtime gives for a member of an entry point's argument.
    fn builtin_of(&self, base: Handle<Expression>, index: u32) -> Option<BuiltIn> {
        let Expression::FunctionArgument(n) = self.function.expressions[base] else { return None };
        let TypeInner::Struct { members, .. } = &self.calls.module.types[self.function.arguments[n as usize].ty].inner
        else {
            return None;
        };
        match members.get(index as usize)?.binding {
            // Of a function that is called, the argument itself tells.
            Some(Binding::BuiltIn(builtin)) if !self.arguments[n as usize] => Some(builtin),
            _ => None,
        }
    }

    /// Marks what a pointer points to.
    fn store(&mut self, mut pointer: Handle<Expression>, differs: bool) {
        loop {
            match self.function.expressions[pointer] {
                Expression::Access { base, index } => {
                    // Which element it is may differ.
                    if self.differs(index) && !differs {
                        return self.store(base, true);
                    }
                    pointer = base;
                }
                Expression::AccessIndex { base, .. } => pointer = base,
                Expression::LocalVariable(variable) => return self.locals[variable.index()] |= differs,
                Expression::FunctionArgument(n) => return self.arguments[n as usize] |= differs,
                _ => return,
            }
        }
    }

    /// Control flow behind a block that is entered by `flow`.
    fn block(&mut self, block: &Block, mut flow: Flow) -> Flow {
        for (statement, span) in block.span_iter() {
            flow = self.statement(statement, *span, flow);
        }
        flow
    }

    fn barrier(&mut self, span: Span, flow: Flow) {
        if flow.differs && self.calls.found.is_none() {
            self.calls.found = Some(Divergent { barrier: span, because: flow.because });
        }
    }

    fn statement(&mut self, statement: &Statement, span: Span, flow: Flow) -> Flow {
        match statement {
            Statement::ControlBarrier(barrier) if *barrier != naga::Barrier::SUB_GROUP => self.barrier(span, flow),
            Statement::WorkGroupUniformLoad { .. } => self.barrier(span, flow),
            Statement::Block(block) => return self.block(block, flow),
            Statement::If { condition, accept, reject } => {
                let because = self.function.expressions.get_span(*condition);
                let inside = flow.if_differs(self.differs(*condition), because);
                let ends = self.block(accept, inside).or(self.block(reject, inside));
                return if leaves(accept, true).or(leaves(reject, true)) { ends } else { flow };
            }
            Statement::Switch { selector, cases } => {
                let because = self.function.expressions.get_span(*selector);
                let inside = flow.if_differs(self.differs(*selector), because);
                let mut ends = flow;
                for case in cases {
                    ends = ends.or(self.block(&case.body, inside));
                }
                return if cases.iter().any(|case| leaves(&case.body, false).any()) { ends } else { flow };
            }
            Statement::Loop { body, continuing, break_if } => {
                // A loop is known by where its body lies.
                let key = std::ptr::from_ref(body).addr();
                let back = self.loops.get(&key).copied().unwrap_or(flow);
                let mut end = self.block(body, flow.or(back));
                end = self.block(continuing, end);
                if let Some(condition) = break_if {
                    end = end.if_differs(self.differs(*condition), self.function.expressions.get_span(*condition));
                }
                self.loops.insert(key, back.or(end));
                return if leaves(body, true).returns { end } else { flow };
            }
            Statement::Return { value } => {
                self.returned |= value.is_some_and(|value| self.differs(value) || flow.differs);
            }
            Statement::Store { pointer, value } => {
                let differs = flow.differs || self.differs(*value);
                self.store(*pointer, differs);
            }
            Statement::Call { function, arguments, result } => {
                let differ: Vec<bool> = arguments.iter().map(|argument| self.differs(*argument)).collect();
                let effect = self.calls.call(*function, differ, flow.differs);
                let taken = &self.calls.module.functions[*function].arguments;
                for ((argument, differs), taken) in arguments.iter().zip(effect.arguments).zip(taken) {
                    if self.calls.module.types[taken.ty].inner.pointer_space().is_some() {
                        self.store(*argument, differs);
                    }
                }
                if let Some(result) = result {
                    self.results[result.index()] |= effect.result;
                }
            }
            Statement::SubgroupBallot { result, .. } => self.results[result.index()] = true,
            _ => {}
        }
        flow
    }
}

/// How a block can be left but by its end.
#[derive(Clone, Copy, Default)]
struct Leaves {
    breaks: bool,
    continues: bool,
    returns: bool,
}

impl Leaves {
    fn any(self) -> bool {
        self.breaks || self.continues || self.returns
    }

    fn or(self, other: Leaves) -> bool {
        self.any() || other.any()
    }
}

/// How a block can be left; breaks count where it is not the body of what they leave.
fn leaves(block: &Block, breaks_count: bool) -> Leaves {
    let mut leaves_by = Leaves::default();
    let mut add = |block: &Block, breaks: bool, continues: bool| {
        let inner = leaves(block, breaks);
        leaves_by.breaks |= inner.breaks;
        leaves_by.continues |= continues && inner.continues;
        leaves_by.returns |= inner.returns;
    };
    for statement in block.iter() {
        match statement {
            Statement::Block(inner) => add(inner, breaks_count, true),
            Statement::If { accept, reject, .. } => {
                add(accept, breaks_count, true);
                add(reject, breaks_count, true);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| add(&case.body, false, true)),
            Statement::Loop { body, continuing, .. } => {
                add(body, false, false);
                add(continuing, false, false);
            }
            _ => {}
        }
    }
    for statement in block.iter() {
        match statement {
            Statement::Break => leaves_by.breaks |= breaks_count,
            Statement::Continue => leaves_by.continues = true,
            Statement::Return { .. } | Statement::Kill => leaves_by.returns = true,
            _ => {}
        }
    }
    leaves_by
}

fn is_read_only(space: AddressSpace) -> bool {
    match space {
        AddressSpace::Uniform | AddressSpace::Immediate | AddressSpace::Handle => true,
        AddressSpace::Storage { access } => !access.contains(StorageAccess::STORE),
        _ => false,
    }
}

/// Whether all invocations of a workgroup are given the same.
fn is_uniform(builtin: BuiltIn) -> bool {
    matches!(
        builtin,
        BuiltIn::WorkGroupId
            | BuiltIn::NumWorkGroups
            | BuiltIn::WorkGroupSize
            | BuiltIn::NumSubgroups
            | BuiltIn::SubgroupSize
    )
}

/// The expressions that one is computed from. (An array's length is the same for all, wherever the array lies.)
fn operands(expression: &Expression, mut each: impl FnMut(Handle<Expression>)) {
    match *expression {
        Expression::Compose { ref components, .. } => components.iter().copied().for_each(each),
        Expression::Access { base, index } => {
            each(base);
            each(index);
        }
        Expression::AccessIndex { base, .. } => each(base),
        Expression::Splat { value, .. } => each(value),
        Expression::Swizzle { vector, .. } => each(vector),
        Expression::Load { pointer } => each(pointer),
        Expression::ImageSample { image, coordinate, array_index, offset, depth_ref, .. } => {
            each(image);
            each(coordinate);
            [array_index, offset, depth_ref].into_iter().flatten().for_each(each);
        }
        Expression::ImageLoad { image, coordinate, array_index, sample, level } => {
            each(image);
            each(coordinate);
            [array_index, sample, level].into_iter().flatten().for_each(each);
        }
        Expression::Unary { expr, .. } | Expression::As { expr, .. } => each(expr),
        Expression::Binary { left, right, .. } => {
            each(left);
            each(right);
        }
        Expression::Select { condition, accept, reject } => {
            each(condition);
            each(accept);
            each(reject);
        }
        Expression::Relational { argument, .. } => each(argument),
        Expression::Math { arg, arg1, arg2, arg3, .. } => {
            each(arg);
            [arg1, arg2, arg3].into_iter().flatten().for_each(each);
        }
        _ => {}
    }
}
