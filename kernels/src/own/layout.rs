//! How values lie in buffers, by naga's reckoning of WGSL's rules.

use naga::proc::Layouter;
use naga::{ArraySize, Handle, Module, ScalarKind, Type, TypeInner};
use serde_json::Value;

/// A kind of number, in as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Whole numbers with a sign.
    I32,
    /// Whole numbers with a sign, in eight bytes.
    I64,
    /// Whole numbers.
    U32,
    /// Whole numbers in eight bytes.
    U64,
}

impl Number {
    /// All of them, by WGSL's names.
    pub const ALL: [(&'static str, Number); 7] = [
        ("f16", Number::F16),
        ("f32", Number::F32),
        ("f64", Number::F64),
        ("i32", Number::I32),
        ("i64", Number::I64),
        ("u32", Number::U32),
        ("u64", Number::U64),
    ];

    /// WGSL's name.
    pub fn name(self) -> &'static str {
        Number::ALL.iter().find(|(_, number)| *number == self).expect("all are listed").0
    }

    /// Its bytes.
    pub fn width(self) -> usize {
        match self {
            Number::F16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// Whether it has a fraction.
    pub fn is_float(self) -> bool {
        matches!(self, Number::F16 | Number::F32 | Number::F64)
    }

    fn of(scalar: naga::Scalar) -> Option<Number> {
        Some(match (scalar.kind, scalar.width) {
            (ScalarKind::Float, 2) => Number::F16,
            (ScalarKind::Float, 4) => Number::F32,
            (ScalarKind::Float, 8) => Number::F64,
            (ScalarKind::Sint, 4) => Number::I32,
            (ScalarKind::Sint, 8) => Number::I64,
            (ScalarKind::Uint, 4) => Number::U32,
            (ScalarKind::Uint, 8) => Number::U64,
            _ => return None,
        })
    }

    /// Appends a number with a fraction, rounded to what this kind holds; whole numbers saturate.
    pub fn push(self, value: f64, bytes: &mut Vec<u8>) {
        match self {
            Number::F16 => bytes.extend(half::f16::from_f64(value).to_le_bytes()),
            Number::F32 => bytes.extend((value as f32).to_le_bytes()),
            Number::F64 => bytes.extend(value.to_le_bytes()),
            Number::I32 => bytes.extend((value as i32).to_le_bytes()),
            Number::I64 => bytes.extend((value as i64).to_le_bytes()),
            Number::U32 => bytes.extend((value as u32).to_le_bytes()),
            Number::U64 => bytes.extend((value as u64).to_le_bytes()),
        }
    }

    /// Appends a whole number.
    ///
    /// # Errors
    /// If this kind does not hold it; the message says what it holds.
    pub fn push_whole(self, value: i128, bytes: &mut Vec<u8>) -> Result<(), String> {
        let refused = |_| format!("{} does not hold {value}", self.name());
        match self {
            Number::I32 => bytes.extend(i32::try_from(value).map_err(refused)?.to_le_bytes()),
            Number::I64 => bytes.extend(i64::try_from(value).map_err(refused)?.to_le_bytes()),
            Number::U32 => bytes.extend(u32::try_from(value).map_err(refused)?.to_le_bytes()),
            Number::U64 => bytes.extend(u64::try_from(value).map_err(refused)?.to_le_bytes()),
            float => float.push(value as f64, bytes),
        }
        Ok(())
    }

    /// Reads the numbers of a buffer as such of double precision; of `u64` and `i64` the nearest.
    pub fn read(self, bytes: &[u8]) -> Vec<f64> {
        macro_rules! each {
            ($t:ty) => {
                bytes.as_chunks::<{ size_of::<$t>() }>().0.iter().map(|b| <$t>::from_le_bytes(*b) as f64).collect()
            };
        }
        match self {
            Number::F16 => {
                let halves = bytes.as_chunks::<2>().0.iter();
                halves.map(|b| half::f16::from_le_bytes(*b).to_f64()).collect()
            }
            Number::F32 => each!(f32),
            Number::F64 => each!(f64),
            Number::I32 => each!(i32),
            Number::I64 => each!(i64),
            Number::U32 => each!(u32),
            Number::U64 => each!(u64),
        }
    }
}

/// The numbers that a type consists of, where they are of one kind.
pub fn number(module: &Module, ty: Handle<Type>) -> Option<Number> {
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar)
        | TypeInner::Atomic(scalar)
        | TypeInner::Vector { scalar, .. }
        | TypeInner::Matrix { scalar, .. } => Number::of(*scalar),
        TypeInner::Array { base, .. } => number(module, *base),
        TypeInner::Struct { members, .. } => {
            let mut kinds = members.iter().map(|member| number(module, member.ty));
            let first = kinds.next()??;
            kinds.all(|kind| kind == Some(first)).then_some(first)
        }
        _ => None,
    }
}

/// How a type is written, for messages.
pub fn written(module: &Module, ty: Handle<Type>) -> String {
    let scalar = |scalar: naga::Scalar| match (Number::of(scalar), scalar.kind) {
        (Some(number), _) => number.name(),
        (None, ScalarKind::Bool) => "bool",
        _ => "?",
    };
    let Type { name, inner } = &module.types[ty];
    match inner {
        TypeInner::Scalar(s) => scalar(*s).into(),
        TypeInner::Atomic(s) => format!("atomic<{}>", scalar(*s)),
        TypeInner::Vector { size, scalar: s } => format!("vec{}<{}>", *size as u8, scalar(*s)),
        TypeInner::Matrix { columns, rows, scalar: s } => {
            format!("mat{}x{}<{}>", *columns as u8, *rows as u8, scalar(*s))
        }
        TypeInner::Array { base, size: ArraySize::Constant(n), .. } => {
            format!("array<{}, {n}>", written(module, *base))
        }
        TypeInner::Array { base, .. } => format!("array<{}>", written(module, *base)),
        TypeInner::Image { .. } => "a texture".into(),
        TypeInner::Sampler { .. } => "a sampler".into(),
        TypeInner::AccelerationStructure { .. } => "an acceleration structure".into(),
        TypeInner::BindingArray { .. } => "an array of bindings".into(),
        _ => name.clone().unwrap_or_else(|| "a type without a name".into()),
    }
}

/// How many types stand in one another, for each type. A type's parts stand before it.
pub fn deepest(module: &Module) -> usize {
    let mut depths: Vec<usize> = Vec::with_capacity(module.types.len());
    for (_, ty) in module.types.iter() {
        let of = |handle: &Handle<Type>| depths.get(handle.index()).copied().unwrap_or(0);
        let inside = match &ty.inner {
            TypeInner::Array { base, .. } | TypeInner::Pointer { base, .. } | TypeInner::BindingArray { base, .. } => {
                of(base)
            }
            TypeInner::Struct { members, .. } => members.iter().map(|member| of(&member.ty)).max().unwrap_or(0),
            _ => 0,
        };
        depths.push(inside + 1);
    }
    depths.into_iter().max().unwrap_or(0)
}

/// The array without a fixed length with which a type ends: where it begins and the bytes of an element.
pub fn tail(module: &Module, ty: Handle<Type>) -> Option<(u64, u64)> {
    match &module.types[ty].inner {
        TypeInner::Array { size: ArraySize::Dynamic, stride, .. } => Some((0, u64::from(*stride))),
        TypeInner::Struct { members, .. } => {
            let last = members.last()?;
            let (begins, stride) = tail(module, last.ty)?;
            Some((u64::from(last.offset) + begins, stride))
        }
        _ => None,
    }
}

/// A JSON value as the bytes of a type.
///
/// # Errors
/// If the value does not have the type's form; the message says where, what was expected and what was found.
pub fn bytes(module: &Module, layouter: &Layouter, ty: Handle<Type>, value: &Value) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; layouter[ty].size as usize];
    Writer { module, bytes: &mut bytes }.put(ty, value, 0, "value")?;
    Ok(bytes)
}

struct Writer<'a> {
    module: &'a Module,
    bytes: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, ty: Handle<Type>, value: &Value, at: usize, path: &str) -> Result<(), String> {
        let expected = written(self.module, ty);
        match &self.module.types[ty].inner {
            TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => {
                let number = Number::of(*scalar).ok_or_else(|| format!("{path}: {expected} can't be given"))?;
                self.number(number, value, at, path)
            }
            TypeInner::Vector { size, scalar } => {
                let number = Number::of(*scalar).ok_or_else(|| format!("{path}: {expected} can't be given"))?;
                for (n, value) in list(value, Some(*size as usize), &expected, path)?.iter().enumerate() {
                    self.number(number, value, at + n * number.width(), &format!("{path}[{n}]"))?;
                }
                Ok(())
            }
            TypeInner::Matrix { columns, rows, scalar } => {
                let number = Number::of(*scalar).ok_or_else(|| format!("{path}: {expected} can't be given"))?;
                // Columns lie as vectors in an array: those of three numbers as far apart as of four.
                let stride = if *rows == naga::VectorSize::Bi { 2 } else { 4 } * number.width();
                let columns = list(value, Some(*columns as usize), &format!("{expected}, a list of columns"), path)?;
                for (c, column) in columns.iter().enumerate() {
                    let path = format!("{path}[{c}]");
                    let of = format!("a column of {expected}");
                    for (r, value) in list(column, Some(*rows as usize), &of, &path)?.iter().enumerate() {
                        self.number(number, value, at + c * stride + r * number.width(), &format!("{path}[{r}]"))?;
                    }
                }
                Ok(())
            }
            TypeInner::Array { base, size, stride } => {
                let length = match size {
                    ArraySize::Constant(n) => Some(n.get() as usize),
                    _ => None,
                };
                let (base, stride) = (*base, *stride as usize);
                let list = list(value, length, &expected, path)?;
                if length.is_none() {
                    let end = at + list.len().max(1) * stride;
                    self.bytes.resize(end.max(self.bytes.len()), 0);
                }
                for (n, value) in list.iter().enumerate() {
                    self.put(base, value, at + n * stride, &format!("{path}[{n}]"))?;
                }
                Ok(())
            }
            TypeInner::Struct { members, .. } => {
                let fields = members.iter().filter_map(|member| member.name.as_deref()).collect::<Vec<_>>().join(", ");
                let Value::Object(object) = value else {
                    return Err(format!(
                        "{path}: expected {expected}, an object with {fields}; found {}",
                        short(value)
                    ));
                };
                let unknown = |name: &&String| members.iter().all(|member| member.name.as_ref() != Some(*name));
                if let Some(name) = object.keys().find(unknown) {
                    return Err(format!("{path}: {expected} has no field '{name}'; its fields are {fields}"));
                }
                for member in members {
                    let name = member.name.as_deref().unwrap_or_default();
                    let value = object.get(name).ok_or_else(|| {
                        format!("{path}: the field '{name}' of {expected} is missing; its fields are {fields}")
                    })?;
                    self.put(member.ty, value, at + member.offset as usize, &format!("{path}.{name}"))?;
                }
                Ok(())
            }
            _ => Err(format!("{path}: {expected} can't be given as JSON")),
        }
    }

    fn number(&mut self, number: Number, value: &Value, at: usize, path: &str) -> Result<(), String> {
        let mut bytes = vec![];
        let expected = || format!("{path}: expected a number of type {}, found {}", number.name(), short(value));
        match (number.is_float(), value.as_i64(), value.as_u64(), value.as_f64()) {
            (true, .., Some(x)) => number.push(x, &mut bytes),
            (false, Some(x), ..) => number.push_whole(x.into(), &mut bytes).map_err(|why| format!("{path}: {why}"))?,
            (false, _, Some(x), _) => {
                number.push_whole(x.into(), &mut bytes).map_err(|why| format!("{path}: {why}"))?;
            }
            _ => return Err(expected()),
        }
        self.bytes[at..at + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }
}

fn list<'a>(value: &'a Value, length: Option<usize>, expected: &str, path: &str) -> Result<&'a [Value], String> {
    match (value, length) {
        (Value::Array(list), Some(length)) if list.len() != length => {
            Err(format!("{path}: {expected} has {length} elements, found {}", list.len()))
        }
        (Value::Array(list), _) => Ok(list),
        _ => Err(format!("{path}: expected {expected}, a list; found {}", short(value))),
    }
}

/// A JSON value in a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { text.chars().take(40).chain("...".chars()).collect() }
}
