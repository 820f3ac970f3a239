using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// All members as one model. Each step runs every member once over all sequences that use it, for all plans, and fuses the
/// rows of each sequence. It owns the members.
/// </summary>
/// <remarks>
/// Rows have the width of the widest member. A sequence's row has minus infinity beyond the vocabulary that its streams share.
/// A member that throws, or that returns NaN or plus infinity, fails the sequences concerned (<see cref="Sequence.Fault"/>) and no other.
/// <see cref="Part"/> gives the sequences of each base a model of their own with the same members, so that several threads can run them.
/// </remarks>
public sealed class FusedModel : ILanguageModel
{
    private readonly Ensemble ensemble;
    private readonly FusedRows rows = new();
    private readonly List<IDraft> drafting = [];
    private volatile Member[] members = [];
    private float[] padded = [];

    /// <param name="name">The name of the ensemble in messages.</param>
    /// <param name="models">At least one model. Plans may name only these.</param>
    public FusedModel(string name, IReadOnlyList<ILanguageModel> models)
    {
        if (models is [])
        {
            throw new ArgumentException("An ensemble has at least one model.", nameof(models));
        }

        ensemble = new(name, models);
    }

    private FusedModel(Ensemble ensemble) => this.ensemble = ensemble;

    public ModelInfo Info => ensemble.Info;

    /// <summary>The part of the ensemble that runs the sequences of the prompt's base. It has the same members. Thread-safe.</summary>
    public ILanguageModel Part(Prompt prompt) => ensemble.Parts.GetValue(prompt.Plan.Streams[0].Model, _ => new FusedModel(ensemble));

    /// <summary>Adds a member. Thread-safe.</summary>
    public void Add(ILanguageModel model) => ensemble.Add(model);

    /// <summary>Disposes a member that has no sequences. At least one other member must remain. Thread-safe.</summary>
    public void Remove(ILanguageModel model)
    {
        ensemble.Remove(model);
        Leave(model);
        foreach ((_, FusedModel part) in ensemble.Parts)
        {
            part.Leave(model);
        }

        ensemble.Parts.Remove(model);
        model.Dispose();
    }

    /// <summary>Starts one sequence per stream. Streams of the same model, patch and prompt share a sequence. Unused streams are not run.</summary>
    /// <exception cref="ArgumentException">The plan does not fit the prompt, or names a model that is not a member.</exception>
    /// <exception cref="EngineException">InvalidValue: all weights are 0; or any exception of a member's Start.</exception>
    public Sequence Start(Prompt prompt)
    {
        List<FusedStream> started = [];
        try
        {
            RunningPlan running = RunningPlan.Of(prompt);
            int appended = running.MaxAppended(prompt.MaxAppended);
            foreach (PlannedStream stream in running.Streams)
            {
                Member member = MemberOf(stream.Model);
                Prompt own = Prompt.For(stream.Model, stream.Tokens, stream.Stream.Patch) with { Tenant = prompt.Tenant, MaxAppended = appended };
                started.Add(new(member, stream.Model.Start(own), stream.Stream.ModelName));
            }

            return new FusedSequence(prompt, running, started);
        }
        catch
        {
            FusedSequence.Dispose(started);
            throw;
        }
    }

    public int Prefill(Sequence sequence, int positions)
    {
        int longest = 0;
        foreach (FusedStream stream in ((FusedSequence)sequence).Streams)
        {
            ILanguageModel model = stream.Member.Model;
            try
            {
                longest = Math.Max(longest, model.Prefill(stream.Sequence, positions));
            }
            catch (Exception e)
            {
                throw ModelFailure.Of(model, e);
            }
        }

        return longest;
    }

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        rows.Begin(Info.VocabularySize);
        foreach (Segment segment in batch)
        {
            FusedSequence sequence = (FusedSequence)segment.Sequence;
            rows.Add(sequence, segment.Rows);
            foreach (FusedStream stream in sequence.Streams)
            {
                if (!stream.IsAhead)
                {
                    stream.Clear();
                    stream.Place(stream.Member.Add(new(stream.Sequence, segment.Tokens, segment.Rows)), segment.Rows);
                }

                stream.IsAhead = false;
            }
        }

        Run();
        foreach (Member member in members)
        {
            member.EndStep();
        }

        rows.End();
        return rows;
    }

    /// <summary>
    /// Lets the expert draft. The expert runs in any case, so a draft saves passes of the other streams. Its rows stay valid, and the next Forward runs
    /// only the other streams.
    /// </summary>
    public void Draft(IReadOnlyList<IDraft> batch)
    {
        drafting.Clear();
        foreach (IDraft draft in batch)
        {
            if (DrafterOf(draft) is { } drafter)
            {
                drafter.Clear();
                drafter.IsAhead = true;
                drafting.Add(draft);
            }
        }

        while (drafting.Count > 0)
        {
            foreach (IDraft draft in drafting)
            {
                FusedStream drafter = DrafterOf(draft)!;
                drafter.Place(drafter.Member.Add(new(drafter.Sequence, draft.Newest)), 1);
            }

            Run();
            drafting.RemoveAll(draft => !TryDraft(draft));
        }
    }

    public void Dispose()
    {
        foreach (ILanguageModel model in ensemble.Models)
        {
            model.Dispose();
        }
    }

    private static FusedStream? DrafterOf(IDraft draft) => ((FusedSequence)draft.Sequence).Drafter;

    private Member MemberOf(ILanguageModel model)
    {
        foreach (Member known in members)
        {
            if (known.Model == model)
            {
                return known;
            }
        }

        ensemble.Require(model);
        Member member = new(model);
        Change(all => [.. all, member]);
        return member;
    }

    private void Leave(ILanguageModel model) => Change(all => [.. all.Where(member => member.Model != model)]);

    private void Change(Func<Member[], Member[]> change)
    {
        lock (drafting)
        {
            members = change(members);
        }
    }

    private void Run()
    {
        foreach (Member member in members)
        {
            member.Run();
        }
    }

    /// <returns>True if the drafter must run again.</returns>
    private bool TryDraft(IDraft draft)
    {
        FusedSequence sequence = (FusedSequence)draft.Sequence;
        FusedStream drafter = sequence.Drafter!;
        if ((drafter.Member.Failure ?? drafter.Sequence.Fault) is { } fault)
        {
            sequence.Fail(fault);
            return false;
        }

        ReadOnlySpan<float> row = drafter.Row(draft.Length).Span[..sequence.VocabularySize];
        if (row.Length < Info.VocabularySize)
        {
            Array.Resize(ref padded, Info.VocabularySize);
            row.CopyTo(padded);
            padded.AsSpan(row.Length).Fill(float.NegativeInfinity);
            row = padded;
        }

        try
        {
            return draft.TryDraft(row);
        }
        catch (Exception e)
        {
            sequence.Fail(ModelFailure.Of(drafter.Member.Model, e));
            return false;
        }
    }
}

/// <summary>The members of a <see cref="FusedModel"/> and of its parts. Thread-safe.</summary>
internal sealed class Ensemble
{
    private readonly Lock gate = new();
    private volatile ImmutableList<ILanguageModel> members;
    private volatile ModelInfo info;

    public Ensemble(string name, IReadOnlyList<ILanguageModel> models)
    {
        members = [.. models];
        info = InfoOf(name);
    }

    public ModelInfo Info => info;

    public IReadOnlyList<ILanguageModel> Models => members;

    /// <summary>The parts by their bases. A part ends with its base.</summary>
    public ConditionalWeakTable<ILanguageModel, FusedModel> Parts { get; } = [];

    /// <exception cref="ArgumentException">The model is no member.</exception>
    public void Require(ILanguageModel model)
    {
        if (!members.Contains(model))
        {
            throw new ArgumentException($"Model '{model.Info.Name}' is no member of '{info.Name}'.", nameof(model));
        }
    }

    public void Add(ILanguageModel model)
    {
        lock (gate)
        {
            members = members.Add(model);
            info = InfoOf(info.Name);
        }
    }

    public void Remove(ILanguageModel model)
    {
        lock (gate)
        {
            members = members.Remove(model);
            info = InfoOf(info.Name);
        }
    }

    private ModelInfo InfoOf(string name) => new()
    {
        Name = name,
        VocabularySize = Models.Max(model => model.Info.VocabularySize),
        ContextLength = Models.Max(model => model.Info.ContextLength),
        EndOfTextIds = [.. Models.SelectMany(model => model.Info.EndOfTextIds).Distinct().Order()],
        Hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', Models.Select(model => model.Info.Hash))))),
    };
}
