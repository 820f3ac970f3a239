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
/// </remarks>
public sealed class FusedModel : ILanguageModel
{
    private readonly Dictionary<ILanguageModel, Member> members;
    private readonly FusedRows rows = new();
    private readonly List<IDraft> drafting = [];
    private float[] padded = [];
    private volatile ModelInfo info;

    /// <param name="name">The name of the ensemble in messages.</param>
    /// <param name="models">At least one model. Plans may name only these.</param>
    public FusedModel(string name, IReadOnlyList<ILanguageModel> models)
    {
        if (models is [])
        {
            throw new ArgumentException("An ensemble has at least one model.", nameof(models));
        }

        members = models.ToDictionary(m => m, m => new Member(m), ReferenceEqualityComparer.Instance as IEqualityComparer<ILanguageModel>);
        info = InfoOf(name, models);
    }

    public ModelInfo Info => info;

    /// <summary>Adds a member. It is called between steps on the thread of <see cref="Start"/>, since rows may become wider.</summary>
    public void Add(ILanguageModel model)
    {
        members.Add(model, new(model));
        info = InfoOf(info.Name, members.Keys);
    }

    /// <summary>Disposes a member that has no sequences. At least one other member must remain. It is called between steps on the thread of <see cref="Start"/>.</summary>
    public void Remove(ILanguageModel model)
    {
        members.Remove(model);
        info = InfoOf(info.Name, members.Keys);
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
                if (!members.TryGetValue(stream.Model, out Member? member))
                {
                    throw new ArgumentException($"Model '{stream.Model.Info.Name}' is no member of '{Info.Name}'.", nameof(prompt));
                }

                Prompt own = Prompt.For(stream.Model, stream.Tokens, stream.Stream.Patch) with { Tenant = prompt.Tenant, MaxAppended = appended };
                Sequence sequence = stream.Model.Start(own);
                started.Add(new(member, sequence, stream.Stream.ModelName));
            }

            return new FusedSequence(FusionPlan.Of(prompt), running, started);
        }
        catch
        {
            started.ForEach(s => s.Sequence.Dispose());
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
        foreach (Member member in members.Values)
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
        foreach (ILanguageModel model in members.Keys)
        {
            model.Dispose();
        }
    }

    private static ModelInfo InfoOf(string name, IReadOnlyCollection<ILanguageModel> models) => new()
    {
        Name = name,
        VocabularySize = models.Max(m => m.Info.VocabularySize),
        ContextLength = models.Max(m => m.Info.ContextLength),
        EndOfTextIds = [.. models.SelectMany(m => m.Info.EndOfTextIds).Distinct().Order()],
        Hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', models.Select(m => m.Info.Hash))))),
    };

    private static FusedStream? DrafterOf(IDraft draft) => ((FusedSequence)draft.Sequence).Drafter;

    private void Run()
    {
        foreach (Member member in members.Values)
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

        return draft.TryDraft(row);
    }
}
