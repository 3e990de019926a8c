//! What the server does itself, so that no value travels for it: each script is one step that happens
//! as a whole, and that changes nothing the second time.
//!
//! A key's log is a hash beside it. Of a key that is one row: `e` its expiry before the run (-1 without,
//! -2 where there was no key), `d` its dump, `a` a digest of what the run left in it, `x` the expiry of
//! that, `n` how often it was written, `t` and `o` in which batch, the last time; and `r` alone once it
//! is taken back. Of a key that gathers rows: `e`, `x`, `p` for members that are not taken back yet,
//! and for each member (`m` before its name) what it was, what it became and how often it was written.

use std::sync::LazyLock;

use super::super::command::Command;
use super::super::link::Link;
use crate::Result;

/// A script, and what it is called by.
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn of(text: &'static str) -> Self {
        Self {
            text,
            hash: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    /// The command that carries it out.
    pub(super) fn on(&self, keys: &[&[u8]]) -> Command {
        Command::loaded(&self.hash, keys)
    }
}

/// Gives the scripts to every node. A server forgets them when it starts anew, and a connection that
/// was not lost is one to a server that has not.
pub(in crate::sink::redis) async fn load(link: &mut Link) -> Result<()> {
    link.refresh().await?;
    for node in 0..link.nodes() {
        for script in [&*WRITE, &*BACK, &*WRITE_MEMBERS, &*BACK_MEMBERS, &*SETTLE] {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.text);
            link.ask_node(node, "SCRIPT LOAD", load).await?;
        }
    }
    Ok(())
}

/// The moment at which a key expires, as text; and a digest of what it holds, in whichever order and form
/// the server keeps it.
macro_rules! look {
    () => {
        "local function xt(k) return string.format('%.0f',redis.call('PEXPIRETIME',k)) end \
         local function ms() local t=redis.call('TIME') return t[1]*1000+math.floor(t[2]/1000) end \
         local function dg(k) \
          local t,h=redis.call('TYPE',k).ok,'' \
          if t=='none' then return t end \
          if t=='string' then return t..redis.sha1hex(redis.call('GET',k)) end \
          if t=='hash' then \
           local f,p=redis.call('HGETALL',k),{} \
           for i=1,#f,2 do p[#p+1]=redis.sha1hex(#f[i]..':'..f[i]..f[i+1]) end \
           table.sort(p) \
           return t..redis.sha1hex(table.concat(p)) \
          end \
          if t=='list' then \
           local n=redis.call('LLEN',k) \
           for i=0,n-1,500 do for _,v in ipairs(redis.call('LRANGE',k,i,i+499)) do h=redis.sha1hex(h..v) end end \
           return t..n..h \
          end \
          if t=='stream' then \
           local from='-' \
           while true do \
            local page=redis.call('XRANGE',k,from,'+','COUNT',500) \
            if #page==0 then break end \
            for _,e in ipairs(page) do \
             local p={e[1]} \
             for _,v in ipairs(e[2]) do p[#p+1]=#v..':'..v end \
             h=redis.sha1hex(h..table.concat(p,' ')) \
             from='('..e[1] \
            end \
           end \
           local s=redis.call('XINFO','STREAM',k) \
           for i=1,#s,2 do if s[i]=='last-generated-id' then h=redis.sha1hex(h..s[i+1]) end end \
           for _,g in ipairs(redis.call('XINFO','GROUPS',k)) do \
            for i=1,#g,2 do if g[i]=='name' or g[i]=='last-delivered-id' then h=redis.sha1hex(h..g[i+1]) end end \
           end \
           return t..h \
          end \
          return t..redis.sha1hex(redis.call('DUMP',k)) \
         end "
    };
}

/// Carries out commands of which each is led by the number of its words, from the i-th argument on.
macro_rules! carry_out {
    () => {
        "local r={} \
         while a[i] do \
          local n=tonumber(a[i]) \
          r[#r+1]=redis.call(unpack(a,i+1,i+n)) \
          i=i+n+1 \
         end "
    };
}

/// Writes a key and its log. Arguments: 1 where it must not be there yet, the batch, how often the
/// batch has written it by then (0 where it only gets its expiry anew), the commands.
pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::of(concat!(
        look!(),
        "local k,u,a,i=KEYS[1],KEYS[2],ARGV,4 \
         if a[1]=='1' and redis.call('EXISTS',k)==1 then return 0 end \
         local had,e,d=redis.call('HEXISTS',u,'e')==1 \
         if not had then \
          e=xt(k) \
          if e~='-2' then d=redis.call('DUMP',k) end \
         end ",
        carry_out!(),
        "local x=xt(k) \
         if not had then \
          if a[3]=='0' and x==e then return r end \
          redis.call('HSET',u,'e',e) \
          if d then redis.call('HSET',u,'d',d) end \
         end \
         local n,o,l=tonumber(redis.call('HGET',u,'n') or '0'),tonumber(a[3]),0 \
         if o>0 then \
          if redis.call('HGET',u,'t')==a[2] then l=tonumber(redis.call('HGET',u,'o')) end \
          if o>l then \
           n=n+o-l \
           l=o \
          end \
          redis.call('HSET',u,'t',a[2],'o',l) \
         end \
         redis.call('HSET',u,'n',n,'a',dg(k),'x',x) \
         return r"
    ))
});

/// How often what was written last was written by a batch that the ledger does not know: the run was cut
/// short in it. The argument has each split with the number of its last batch.
macro_rules! not_counted {
    () => {
        "local function nc(t,o,told) \
          local s,b=string.match(t or '','^(-?%d+):(%d+)$') \
          if not s then return 0 end \
          local last=string.match(told,' '..string.gsub(s,'-','%%-')..':(%d+) ') \
          if last and tonumber(b)<=tonumber(last) then return 0 end \
          return tonumber(o) \
         end "
    };
}

/// Takes a key back, or tells what that would do. Arguments: `do` or `look`, who wins where it was changed
/// since, the batch, the last batches of the run.
pub(super) static BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::of(concat!(
        look!(),
        not_counted!(),
        "local k,u,a=KEYS[1],KEYS[2],ARGV \
         local r=redis.call('HGET',u,'r') \
         if r then return r end \
         local e=redis.call('HGET',u,'e') \
         if not e then return 'none' end \
         local f=redis.call('HMGET',u,'a','x','n','t','o') \
         local n,now,x,ex,ms=tonumber(f[3] or '0')-nc(f[4],f[5],a[4]),dg(k),xt(k),tonumber(f[2] or '0'),ms() \
         local same=now==f[1] and x==f[2] \
         if now=='none' and ex>0 and ex<=ms then same=true end \
         if not same then \
          if e=='-2' then same=now=='none' \
          else same=x==e and now~='none' and redis.call('DUMP',k)==redis.call('HGET',u,'d') end \
         end \
         local s \
         if not same and a[2]=='' then return 'changed '..n end \
         if not same and a[2]=='target' then s='kept' \
         elseif e~='-2' then s='restored' \
         elseif now=='none' then s='gone' \
         else s='removed' end \
         local out=a[3]..' '..s..' '..n \
         if a[1]=='do' then \
          if s=='removed' then redis.call('UNLINK',k) end \
          if s=='restored' then \
           local m=tonumber(e) \
           if m>0 and m<=ms then redis.call('UNLINK',k) \
           else redis.call('RESTORE',k,m<0 and '0' or e,redis.call('HGET',u,'d'),'REPLACE','ABSTTL') end \
          end \
          redis.call('DEL',u) \
          redis.call('HSET',u,'r',out) \
         end \
         return out"
    ))
});

/// Writes members of a key, and their log. Arguments: 1 where members have scores, the batch, 1 where what
/// the key holds then is kept as well (for it gets an expiry that may take more with it), the number of
/// members, each with how often the batch has written it by then, the commands.
pub(super) static WRITE_MEMBERS: LazyLock<Script> = LazyLock::new(|| {
    Script::of(concat!(
        look!(),
        "local k,u,a,i=KEYS[1],KEYS[2],ARGV,5 \
         if redis.call('HEXISTS',u,'e')==0 then redis.call('HSET',u,'e',xt(k),'p',0) end \
         local function v(m) \
          if a[1]=='1' then return redis.call('ZSCORE',k,m) or '-' end \
          if redis.call('SISMEMBER',k,m)==1 then return '1' end \
          return '-' \
         end \
         local c,was=tonumber(a[4]),{} \
         for j=1,c do \
          was[j]=v(a[i]) \
          i=i+2 \
         end ",
        carry_out!(),
        "i=5 \
         for j=1,c do \
          local m,o=a[i],tonumber(a[i+1]) \
          i=i+2 \
          local old=redis.call('HGET',u,'m'..m) \
          local b,n,t,l=was[j],0,'',0 \
          if old and string.sub(old,1,2)~='D ' then \
           b,n,t,l=string.match(old,'^(%S+) %S+ (%d+) (%S+) (%d+)$') \
           n,l=tonumber(n),tonumber(l) \
          elseif not old then redis.call('HINCRBY',u,'p',1) end \
          if t~=a[2] then l=0 end \
          if o>l then \
           n=n+o-l \
           l=o \
          end \
          redis.call('HSET',u,'m'..m,b..' '..v(m)..' '..n..' '..a[2]..' '..l) \
         end \
         if a[3]=='1' and redis.call('HGET',u,'e')~='-2' then \
          local d=redis.call('DUMP',k) \
          if d then redis.call('HSET',u,'d',d) end \
         end \
         redis.call('HSET',u,'x',xt(k)) \
         return r"
    ))
});

/// Takes members back, or tells what that would do. Arguments: `do` or `look`, who wins where one was changed
/// since, the batch, the last batches of the run, 1 where they have scores, the members. The answer is how many were removed, restored,
/// gone, kept and changed since, and with `look` also the last of these.
pub(super) static BACK_MEMBERS: LazyLock<Script> = LazyLock::new(|| {
    Script::of(concat!(
        look!(),
        not_counted!(),
        "local k,u,a=KEYS[1],KEYS[2],ARGV \
         local e,x=redis.call('HGET',u,'e'),tonumber(redis.call('HGET',u,'x') or '0') \
         local doing,changed=a[1]=='do',{} \
         local s={removed=0,restored=0,gone=0,kept=0,changed=0} \
         local lost=redis.call('EXISTS',k)==0 and x>0 and x<=ms() \
         local held=lost and redis.call('HEXISTS',u,'d')==1 \
         if doing and held then redis.call('RESTORE',k,'0',redis.call('HGET',u,'d')) end \
         local function v(m) \
          if a[5]=='1' then return redis.call('ZSCORE',k,m) or '-' end \
          if redis.call('SISMEMBER',k,m)==1 then return '1' end \
          return '-' \
         end \
         for i=6,#a do \
          local m=a[i] \
          local old=redis.call('HGET',u,'m'..m) \
          local db,ds,dn \
          if old then db,ds,dn=string.match(old,'^D (%S+) (%a+) (%d+)$') end \
          if db then \
           if db==a[3] then s[ds]=s[ds]+dn end \
          elseif old then \
           local b,af,n,t,l=string.match(old,'^(%S+) (%S+) (%d+) (%S+) (%d+)$') \
           n=n-nc(t,l,a[4]) \
           local now=v(m) \
           if held and not doing then now=af end \
           local same,state=now==af or now==b or lost \
           if not same and a[2]=='' then \
            s.changed=s.changed+math.max(n,1) \
            changed[#changed+1]=m \
           else \
            if not same and a[2]=='target' then state='kept' \
            elseif b~='-' then state='restored' \
            elseif now=='-' then state='gone' \
            else state='removed' end \
            s[state]=s[state]+n \
            if doing then \
             if state=='removed' then redis.call(a[5]=='1' and 'ZREM' or 'SREM',k,m) end \
             if state=='restored' and now~=b then \
              if a[5]=='1' then redis.call('ZADD',k,b,m) else redis.call('SADD',k,m) end \
             end \
             redis.call('HSET',u,'m'..m,'D '..a[3]..' '..state..' '..n) \
             redis.call('HINCRBY',u,'p',-1) \
            end \
           end \
          end \
         end \
         local out=s.removed..' '..s.restored..' '..s.gone..' '..s.kept..' '..s.changed \
         if doing then return out end \
         table.insert(changed,1,out) \
         return changed"
    ))
});

/// Ends the way back of a key: its expiry is what it was, and the log is gone.
pub(super) static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::of(concat!(
        look!(),
        "local k,u=KEYS[1],KEYS[2] \
         local p=redis.call('HGET',u,'p') \
         if not p then \
          if redis.call('HEXISTS',u,'e')==1 then return 'left' end \
          redis.call('UNLINK',u) \
          return 'ok' \
         end \
         if p~='0' then return 'left' end \
         local e,x=redis.call('HGET',u,'e'),redis.call('HGET',u,'x') \
         local ex=tonumber(x) \
         if e~='-2' and redis.call('EXISTS',k)==1 and (xt(k)==x or (ex>0 and ex<=ms())) then \
          if e=='-1' then redis.call('PERSIST',k) else redis.call('PEXPIREAT',k,e) end \
         end \
         redis.call('UNLINK',u) \
         return 'ok'"
    ))
});
