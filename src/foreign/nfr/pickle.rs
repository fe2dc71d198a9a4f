//! What a pickle of weights says, without doing what it says.
//!
//! A pickle is a program, and only this much of it is known.
//!
//! Opcodes are those of protocol 2 that torch writes for dictionaries of tensors (`pickletools` of Python's library). Of all
//! that a pickle may call three things are known, none of which does anything here: an ordered dictionary, a tensor
//! made of a storage, and a storage of 32-bit floats.

use std::rc::Rc;

/// Most bytes of a pickle.
pub(super) const LONGEST: u64 = 1 << 20;
/// Most things inside each other.
const DEPTH: u8 = 16;

/// A tensor of 32-bit floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The file in the archive that has its values.
    pub(super) storage: Rc<str>,
    /// How many there are in that file.
    pub(super) stored: i64,
    /// The first of them that is its own.
    pub(super) offset: i64,
    /// Its shape.
    pub(super) shape: Vec<i64>,
    /// How far apart neighbours of each dimension are.
    pub(super) strides: Vec<i64>,
}

/// Something on the stack.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Bool,
    Text(Rc<str>),
    Tuple(Rc<[Value]>),
    /// Only where it is made: the memo keeps none.
    Dict(Vec<(Value, Value)>),
    Tensor(Rc<Tensor>),
    Global(Global),
    Storage(Rc<str>, i64),
    /// A dictionary that was remembered; nothing that is needed asks for one again.
    Remembered,
    Mark,
}

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    FloatStorage,
}

impl Value {
    /// The value of a key, in a dictionary.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let Self::Dict(pairs) = self else { return None };
        let same = |found: &&(Value, Value)| matches!(&found.0, Self::Text(text) if &**text == key);
        pairs.iter().rev().find(same).map(|(_, value)| value)
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "what matters is far smaller")]
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            _ => None,
        }
    }

    fn ints(&self) -> Option<Vec<i64>> {
        match self {
            Self::Tuple(values) => values.iter().map(Self::int).collect(),
            _ => None,
        }
    }

    /// How many things lie inside each other.
    fn depth(&self) -> u8 {
        let inside = match self {
            Self::Tuple(values) => values.iter().map(Self::depth).max(),
            Self::Dict(pairs) => pairs.iter().map(|(_, value)| value.depth()).max(),
            _ => None,
        };
        inside.map_or(0, |inside| inside.saturating_add(1))
    }
}

/// What is wrong with a pickle, and at which byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// What the pickle leaves.
pub(super) fn read(pickle: &[u8]) -> Result<Value, Wrong> {
    let mut machine = Machine {
        rest: pickle,
        stack: Vec::new(),
        memo: Vec::new(),
    };
    loop {
        let at = pickle.len() - machine.rest.len();
        match machine.step() {
            Ok(None) => {}
            Ok(Some(value)) => return Ok(value),
            Err(what) => return Err(Wrong { at, what }),
        }
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    memo: Vec<Value>,
}

const ENDS: &str = "the pickle ends early";
const SHAPE: &str = "the pickle puts things together that do not fit";
const UNKNOWN: &str = "the pickle would do something that weights do not need";

type Step<T> = Result<T, &'static str>;

impl Machine<'_> {
    fn bytes(&mut self, length: usize) -> Step<&[u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ENDS)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(ENDS)?;
        self.rest = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Step<u8> {
        self.array().map(|[byte]| byte)
    }

    fn long(&mut self) -> Step<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| ENDS)
    }

    fn line(&mut self) -> Step<&[u8]> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(ENDS)?;
        let line = self.bytes(end + 1)?;
        Ok(line.trim_ascii_end())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Step<Value> {
        self.stack.pop().ok_or(SHAPE)
    }

    /// All since the last mark, which goes too.
    fn since_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self
            .stack
            .iter()
            .rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or(SHAPE)?;
        let since = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(since)
    }

    fn tuple(&mut self, values: Vec<Value>) -> Step<()> {
        let tuple = Value::Tuple(values.into());
        if tuple.depth() > DEPTH {
            return Err(SHAPE);
        }
        self.push(tuple);
        Ok(())
    }

    fn tuple_of(&mut self, count: usize) -> Step<()> {
        let from = self.stack.len().checked_sub(count).ok_or(SHAPE)?;
        let values = self.stack.split_off(from);
        self.tuple(values)
    }

    fn set(&mut self, items: Vec<Value>) -> Step<()> {
        let Some(Value::Dict(pairs)) = self.stack.last_mut() else {
            return Err(SHAPE);
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let value = items.next().ok_or(SHAPE)?;
            if value.depth() > DEPTH {
                return Err(SHAPE);
            }
            pairs.push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, place: usize) -> Step<()> {
        let value = match self.stack.last().ok_or(SHAPE)? {
            Value::Dict(_) => Value::Remembered,
            value => value.clone(),
        };
        // Places are counted up, so that there is never more to remember than was read.
        match place.checked_sub(self.memo.len()) {
            Some(0) => self.memo.push(value),
            Some(_) => return Err(SHAPE),
            None => *self.memo.get_mut(place).ok_or(SHAPE)? = value,
        }
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Step<()> {
        let value = self.memo.get(place).cloned().ok_or(SHAPE)?;
        self.push(value);
        Ok(())
    }

    fn global(&mut self) -> Step<()> {
        let module = self.line()?.to_vec();
        let global = match (module.as_slice(), self.line()?) {
            (b"collections", b"OrderedDict") => Global::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor_v2") => Global::RebuildTensor,
            (b"torch", b"FloatStorage") => Global::FloatStorage,
            _ => return Err(UNKNOWN),
        };
        self.push(Value::Global(global));
        Ok(())
    }

    /// A storage by its persistent id.
    fn storage(&mut self) -> Step<()> {
        let Value::Tuple(id) = self.pop()? else {
            return Err(SHAPE);
        };
        match &*id {
            [
                Value::Text(storage),
                Value::Global(Global::FloatStorage),
                Value::Text(key),
                Value::Text(_),
                Value::Int(count),
            ] if &**storage == "storage" => {
                self.push(Value::Storage(Rc::clone(key), *count));
                Ok(())
            }
            _ => Err(UNKNOWN),
        }
    }

    fn call(&mut self) -> Step<()> {
        let Value::Tuple(arguments) = self.pop()? else {
            return Err(SHAPE);
        };
        let made = match (self.pop()?, &*arguments) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(Vec::new()),
            (
                Value::Global(Global::RebuildTensor),
                [
                    Value::Storage(storage, stored),
                    Value::Int(offset),
                    shape,
                    strides,
                    ..,
                ],
            ) => Value::Tensor(Rc::new(Tensor {
                storage: Rc::clone(storage),
                stored: *stored,
                offset: *offset,
                shape: shape.ints().ok_or(SHAPE)?,
                strides: strides.ints().ok_or(SHAPE)?,
            })),
            _ => return Err(UNKNOWN),
        };
        self.push(made);
        Ok(())
    }

    /// One opcode; the value that is left when it was the last.
    fn step(&mut self) -> Step<Option<Value>> {
        match self.byte()? {
            0x80 => {
                if self.byte()? != 2 {
                    return Err("a pickle of a protocol other than 2");
                }
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b'(' => self.push(Value::Mark),
            b')' => self.tuple(Vec::new())?,
            b'q' => {
                let place = self.byte()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = self.long()?;
                self.remember(place)?;
            }
            b'h' => {
                let place = self.byte()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = self.long()?;
                self.recall(place)?;
            }
            b'X' => {
                let length = self.long()?;
                let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| SHAPE)?;
                let text = text.into();
                self.push(Value::Text(text));
            }
            b'c' => self.global()?,
            b'R' => self.call()?,
            b'Q' => self.storage()?,
            b't' => {
                let values = self.since_mark()?;
                self.tuple(values)?;
            }
            0x85 => self.tuple_of(1)?,
            0x86 => self.tuple_of(2)?,
            0x87 => self.tuple_of(3)?,
            b'J' => {
                let int = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(int.into()));
            }
            b'K' => {
                let int = self.byte()?;
                self.push(Value::Int(int.into()));
            }
            b'M' => {
                let int = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(int.into()));
            }
            0x88 | 0x89 => self.push(Value::Bool),
            b'G' => {
                #[expect(clippy::big_endian_bytes, reason = "the format's order")]
                let bits = u64::from_be_bytes(self.array()?);
                self.push(Value::Float(f64::from_bits(bits)));
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(items)?;
            }
            // The state of a dictionary: what torch notes of versions.
            b'b' => drop(self.pop()?),
            b'.' => return self.pop().map(Some),
            _ => return Err(UNKNOWN),
        }
        Ok(None)
    }
}
